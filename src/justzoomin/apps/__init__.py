"""The command line: the only room that prints and parses arguments.

Every file here is one command or one group of commands and has its name: `evaluate.py` is `jzi evaluate`, `data/verify.py` is
`jzi data verify`. `main.py` lists the commands. Everything that is not a command is in `shared`.
"""
