"""The ceremonies of the TUF repository's offline keys, for people who do them once a year.

A ceremony is a folder that is carried from one machine to the next (`folder`), drafts in it that
their holders sign (`steps`), and plain words about what is going on (`words`). Nothing here needs
a network, and nothing is ever overwritten.
"""
