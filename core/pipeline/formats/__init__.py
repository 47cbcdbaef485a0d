"""From the bytes of a file to its text, one module a format.

`text` is light and read by the subject itself; `pdf` and `word` import large parsers and run in the process of
`core.pipeline.extractor` alone, where a hostile document can harm nothing.
"""
