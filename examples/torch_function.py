"""A torch.autograd.Function of an LSTM's gates, and the module around it: what the author of a custom function writes.

Needs torch: pip install 'gradcheck[torch]'.
"""

import torch

import gradcheck


class Gates(torch.autograd.Function):
    """From pre-activations (B, 4H) in the order i, f, g, o, and the cell state (B, H), to the new states."""

    @staticmethod
    def forward(ctx, gates, c_prev):
        """The new hidden and cell state."""
        i, f, g, o = gates.chunk(4, dim=1)
        i, f, g, o = torch.sigmoid(i), torch.sigmoid(f), torch.tanh(g), torch.sigmoid(o)
        c = f * c_prev + i * g
        tc = torch.tanh(c)
        ctx.save_for_backward(i, f, g, o, tc, c_prev)
        return o * tc, c

    @staticmethod
    def backward(ctx, dh, dc):
        """The gradients of gates and c_prev."""
        i, f, g, o, tc, c_prev = ctx.saved_tensors
        do = dh * tc
        dct = dc + dh * o * (1 - tc**2)
        di = dct * g
        dg = dct * i
        df = dct * c_prev
        dgates = torch.cat([di * i * (1 - i), df * f * (1 - f), dg * (1 - g**2), do * o * (1 - o)], dim=1)
        return dgates, dct * f


class Lstm(torch.nn.Module):
    """One layer, from a sequence (T, B, D) to the last hidden state (B, H)."""

    def __init__(self, D, H):
        """Weights of the usual size."""
        super().__init__()
        self.W = torch.nn.Parameter(torch.randn(D, 4 * H) / D**0.5)
        self.U = torch.nn.Parameter(torch.randn(H, 4 * H) / H**0.5)
        self.b = torch.nn.Parameter(0.1 * torch.randn(4 * H))

    def forward(self, x):
        """The last hidden state."""
        h = c = x.new_zeros(x.shape[1], len(self.U))
        for step in x:
            h, c = Gates.apply(step @ self.W + h @ self.U + self.b, c)
        return h


@gradcheck.target
def torch_lstm(rng, *, T=3, B=2, D=3, H=4):
    """Every parameter of the module, and the gradient that reaches its input."""
    torch.manual_seed(int(rng.integers(1 << 31)))
    net = Lstm(D, H).double()
    x = torch.randn(T, B, D, dtype=torch.float64)
    return gradcheck.Target.from_module(net, lambda: net(x).pow(2).sum(), also={"x": x}, gates="ifgo")
