"""A jax.custom_vjp of an LSTM's gates, checked by itself.

Needs JAX: pip install 'gradcheck[jax]'.
"""

import jax
import jax.numpy as jnp

import gradcheck

jax.config.update("jax_enable_x64", True)  # in float32 far less would be seen


@jax.custom_vjp
def gates(z, c):
    """From pre-activations (B, 4H) in the order i, f, g, o, and the cell state (B, H), to the new states."""
    return gates_fwd(z, c)[0]


def gates_fwd(z, c):
    """The new states, and what the backward needs."""
    i, f, g, o = jnp.split(z, 4, axis=-1)
    i, f, g, o = jax.nn.sigmoid(i), jax.nn.sigmoid(f), jnp.tanh(g), jax.nn.sigmoid(o)
    c_new = f * c + i * g
    tc = jnp.tanh(c_new)
    return (o * tc, c_new), (i, f, g, o, tc, c)


def gates_bwd(residuals, cotangents):
    """The gradients of z and c."""
    i, f, g, o, tc, c = residuals
    dh, dc = cotangents
    do = dh * tc
    dct = dc + dh * o * (1 - tc**2)
    di, dg, df = dct * g, dct * i, dct * c
    dz = jnp.concatenate([di * i * (1 - i), df * f * (1 - f), dg * (1 - g**2), do * o * (1 - o)], axis=-1)
    return dz, dct * f


gates.defvjp(gates_fwd, gates_bwd)


@gradcheck.target
def jax_gates(rng, *, B=2, H=4):
    """The rule as defvjp was handed it."""
    inputs = {"z": rng.standard_normal((B, 4 * H)), "c": rng.standard_normal((B, H))}
    return gradcheck.Target.from_vjp(gates, inputs=inputs, gates="ifgo")
