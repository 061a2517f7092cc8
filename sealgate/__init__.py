"""The composition root: the `sealgate` command and the local deployment that it manages."""
