"""What other systems recorded comes in; interaction records or training pairs go out.

UBI logs, services with the Mixpeek interface, and LETOR files.
"""
