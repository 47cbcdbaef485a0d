"""The panels of the app and what they are made of. A widget shows what a scene says and keeps no truth of its own."""
