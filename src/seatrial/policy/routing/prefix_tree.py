"""Who was sent which prompts: a tree of their hash ids, with the replicas that each was sent to."""

from seatrial.core.request import Prefix


class Node:
    """One id after those of the nodes before it. `sent` has when a prompt with it was last sent, by replica."""

    __slots__ = ("children", "sent")

    def __init__(self) -> None:
        self.children: dict[int, Node] = {}
        self.sent: dict[int, float] = {}


class PrefixTree:
    """Alive. What was sent more than `ttl` seconds ago is forgotten."""

    def __init__(self, ttl: float) -> None:
        self.ttl = ttl
        self.roots: dict[int, Node] = {}  # by the tokens that an id stands for: ids of different sizes never mean the same
        self.pruned = 0.0

    def find(self, prefix: Prefix, now: float) -> dict[int, int]:
        """By replica, the leading ids of the prompt that it was sent; those that were sent none are not in here."""
        found: dict[int, int] = {}
        node = self.roots.get(prefix.block_tokens)
        oldest = now - self.ttl
        for depth, value in enumerate(prefix.hash_ids, 1):
            node = node.children.get(value) if node is not None else None
            if node is None:
                break
            known = [replica for replica, time in node.sent.items() if time >= oldest]
            if not known:
                break
            for replica in known:
                if found.get(replica, 0) == depth - 1:
                    found[replica] = depth
        return found

    def add(self, prefix: Prefix, replica: int, now: float) -> None:
        if now - self.pruned > self.ttl:
            self.pruned = now
            for root in self.roots.values():
                prune(root, now - self.ttl)
        node = self.roots.setdefault(prefix.block_tokens, Node())
        for value in prefix.hash_ids:
            child = node.children.get(value)
            if child is None:
                child = node.children[value] = Node()
            node = child
            node.sent[replica] = now


def prune(root: Node, oldest: float) -> None:
    """Drop what was last sent before. A prompt is never older than those it begins like, so whole branches go."""
    nodes = [root]
    while nodes:
        node = nodes.pop()
        for value, child in list(node.children.items()):
            child.sent = {replica: time for replica, time in child.sent.items() if time >= oldest}
            if child.sent:
                nodes.append(child)
            else:
                del node.children[value]
