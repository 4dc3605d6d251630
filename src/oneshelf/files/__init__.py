"""Tables that people and other systems keep in files: read, judged row by row, brought in; and written out."""
