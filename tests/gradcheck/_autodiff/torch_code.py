"""Three Functions of torch as people write them: pointwise gates, normalization in the newer form, a loop over time."""

import torch


class Gates(torch.autograd.Function):
    @staticmethod
    def forward(ctx, gates, c_prev):
        i, f, g, o = gates.chunk(4, dim=1)
        i, f, g, o = torch.sigmoid(i), torch.sigmoid(f), torch.tanh(g), torch.sigmoid(o)
        c = f * c_prev + i * g
        tc = torch.tanh(c)
        h = o * tc
        ctx.save_for_backward(i, f, g, o, tc, c_prev)
        return h, c

    @staticmethod
    def backward(ctx, dh, dc):
        i, f, g, o, tc, c_prev = ctx.saved_tensors
        do = dh * tc
        dct = dc + dh * o * (1 - tc * tc)
        di = dct * g
        dg = dct * i
        df = dct * c_prev
        dc_prev = dct * f
        dgates = torch.cat([di * i * (1 - i), df * f * (1 - f), dg * (1 - g * g), do * o * (1 - o)], dim=1)
        return dgates, dc_prev


class Normalize(torch.autograd.Function):
    @staticmethod
    def forward(x, scale, shift, eps):
        mean = x.mean(dim=-1, keepdim=True)
        inverse = (x.var(dim=-1, unbiased=False, keepdim=True) + eps).rsqrt()
        return (x - mean) * inverse * scale + shift

    @staticmethod
    def setup_context(ctx, inputs, output):  # noqa: ARG004 - as torch calls it
        x, scale, _, eps = inputs
        inverse = (x.var(dim=-1, unbiased=False, keepdim=True) + eps).rsqrt()
        normal = (x - x.mean(dim=-1, keepdim=True)) * inverse
        ctx.save_for_backward(normal, inverse, scale)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        normal, inverse, scale = ctx.saved_tensors
        grad_scale = (grad * normal).sum(dim=0)
        grad_shift = grad.sum(dim=0)
        grad_normal = grad * scale
        mean_of_grad = grad_normal.mean(dim=-1, keepdim=True)
        along = (grad_normal * normal).mean(dim=-1, keepdim=True)
        grad_x = (grad_normal - mean_of_grad - normal * along) * inverse
        return grad_x, grad_scale, grad_shift, None


class Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, W, U, b):
        h = x.new_zeros(x.shape[1], U.shape[0])
        states = [h]
        for t in range(len(x)):
            h = torch.tanh(x[t] @ W + h @ U + b)
            states.append(h)
        hs = torch.stack(states)
        ctx.save_for_backward(x, W, U, hs)
        return hs[1:]

    @staticmethod
    def backward(ctx, dhs):
        x, W, U, hs = ctx.saved_tensors
        dx = torch.zeros_like(x)
        dW, dU, db = torch.zeros_like(W), torch.zeros_like(U), torch.zeros_like(U[0])
        dh_next = torch.zeros_like(hs[0])
        for t in reversed(range(len(x))):
            dh = dhs[t] + dh_next
            da = dh * (1 - hs[t + 1] ** 2)
            dW += x[t].T @ da
            dU += hs[t].T @ da
            db += da.sum(0)
            dx[t] = da @ W.T
            dh_next = da @ U.T
        return dx, dW, dU, db


class Net(torch.nn.Module):
    def __init__(self, kind, D, H):
        super().__init__()
        self.kind = kind
        width = 4 * H if kind == "Gates" else H
        self.W = torch.nn.Parameter(torch.randn(D, width) / D**0.5)
        self.U = torch.nn.Parameter(torch.randn(H, width) / H**0.5)
        self.b = torch.nn.Parameter(0.1 * torch.randn(width))

    def forward(self, x):
        if self.kind == "Scan":
            return Scan.apply(x, self.W, self.U, self.b)
        h = c = x.new_zeros(x.shape[1], self.U.shape[0])
        if self.kind == "Normalize":
            return Normalize.apply(x[0] @ self.W, self.b, self.U[0], 1e-5)
        for t in range(len(x)):
            h, c = Gates.apply(x[t] @ self.W + h @ self.U + self.b, c)
        return h
