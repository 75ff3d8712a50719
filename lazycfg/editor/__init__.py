"""The language server `lazycfg lsp`: what an editor shows of a config while it is written.

Files are read by their syntax (`lazycfg.without_importing.syntax_only`): to open one runs nothing.
`text` finds what stands at a place, `answers` says what there is to say of it, `server` speaks with the
editor, `running` runs `lazycfg check` in a process of its own where the workspace allows that.
"""
