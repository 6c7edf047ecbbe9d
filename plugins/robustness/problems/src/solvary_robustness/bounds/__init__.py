"""Bound propagation through networks in torch: intervals (`ibp`) and linear bounds (`crown`) of all pre-activations.

Start with `graph.Graph.of(network)`. Networks may have Dense, Conv2d, Flatten, Residual and entrywise activations. All
bounds are outward rounded: they hold for the network in exact arithmetic.
"""
