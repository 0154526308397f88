"""A page as Python's own HTML parser sees it."""

from html.parser import HTMLParser

VOID = {"img", "input", "meta", "link"}


class Page(HTMLParser):
    """All elements with their attributes, the text outside of scripts and styles, and what was left open."""

    def __init__(self, path):
        super().__init__(convert_charrefs=True)
        self.elements, self.words, self.open, self.unmatched = [], [], [], []
        self.source = path.read_text("utf-8")
        self.feed(self.source)
        self.close()

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    def all(self, name):
        """Attributes of each element of that name."""
        return [attributes for element, attributes in self.elements if element == name]

    def handle_starttag(self, tag, attrs):
        assert len({key for key, _ in attrs}) == len(attrs), f"an attribute twice: {attrs}"
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.unmatched.append(tag)

    def handle_data(self, data):
        if not {"script", "style"} & set(self.open):
            self.words.append(data)
