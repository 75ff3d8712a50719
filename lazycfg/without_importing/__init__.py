"""Config files read without importing what they name, so that looking at one does not wait for torch.

`stand_ins` stand for what is not imported, `source` tells from the files of a package what a target takes,
`files` reads with both; `syntax_only` does not even run the file. The core knows none of them: it asks a
target that is no callable yet by the methods that `lazycfg.config.tree.targets.is_deferred` names.
"""
