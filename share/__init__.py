"""What the package puts into share/ of a system: the completion of shells, and manual pages.

All of it is made when the package is built (hatch_build.py), of the definitions that the programs
themselves use: the verbs and options of their parsers, the schema of the configuration, docs/*.md.

    python -m share FOLDER

writes it below a folder. Nothing here is installed.
"""
