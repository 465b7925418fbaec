"""The command line, `artesian`: thin commands over the layers below, tables for people, JSON for programs."""
