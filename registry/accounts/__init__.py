"""Who may do what: roles, sessions, API tokens, trusted publishers.

Nothing here bears trust. What a plugin is, who published and who approved it, is said by signed
bundles alone; a session or a token opens what carries no trust (tokens, drafts, comments) and
says who is connected. `registry.accounts.authorization` decides, in one table of every route.
"""
