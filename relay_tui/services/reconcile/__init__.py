"""Compare records, directories and containers, and complete what is unfinished."""
