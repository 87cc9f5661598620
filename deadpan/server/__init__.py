"""deadpan over HTTP: photographs and live pictures in, expressions out, and a page for people."""
