"""The core of cvdebug: the pipeline, the eyes and the judgement. It never imports textual, rich or typer."""
