"""oruel verify: a black-box check of whether an endpoint honours its parameters. It measures what the endpoint returns,
and shares no code with the engine.
"""
