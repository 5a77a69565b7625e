"""The tools that make objects of files, each in a limited child process."""
