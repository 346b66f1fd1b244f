"""The site of a cluster, by kubectl and helm."""

from .report import Failure


class Cluster:
    def __init__(self, arguments):
        raise Failure("only --local is there so far")
