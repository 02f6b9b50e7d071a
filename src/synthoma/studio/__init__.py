"""The whole chain in a browser, on one's own computer: nothing leaves it, and nothing is loaded from outside.

gate      who may come in: address, token, cookie, Host and Origin, sizes, headers
places    which folders may be seen, and which file an address means
uploads   what is sent: streamed to disk, named anew, unpacked with care
store     jobs, in SQLite
queue     the same commands as on the command line, one after another, in processes of their own
orders    what a form asks for, as the words of a command
look      what lies in the workspace, by a light look
screens   the pages
origin    the scan behind findings, at full size
reviews   which masks people found right; gathered, what is learned from them
between   slices between drawn ones
painting  tumours put into scans, tried in a slice at once
"""
