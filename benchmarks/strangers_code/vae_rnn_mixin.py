"""Variational RNN (Chung et al. 2015), without any framework.

Every step has a prior p(z|h), a posterior q(z|x,h), a decoder p(x|z,h) and a leaky recurrence over (x, z, h):

    loss = 1/B sum_t [ NLL(x_t; mu_x, logvar_x) + beta * KL(q || p) ]

The noise of the reparametrisation comes from outside, so the loss is a deterministic function of the parameters.
"""
import numpy as np


class Parameter:
    def __init__(self, data):
        self.data = np.asarray(data, dtype=float)
        self.grad = np.zeros_like(self.data)

    @property
    def T(self):
        return self.data.T

    def zero(self):
        self.grad.fill(0.0)


class ParametersMixin:
    """Finds the Parameters among the attributes."""

    @property
    def named_parameters(self):
        return {name: value for name, value in vars(self).items() if isinstance(value, Parameter)}

    def zero_grad(self):
        for parameter in self.named_parameters.values():
            parameter.zero()


class DenseMixin:
    def dense(self, name, *parts):
        return np.hstack(parts) @ getattr(self, "W_" + name).data + getattr(self, "b_" + name).data

    def dense_back(self, name, dy, *parts):
        """Adds to the gradients and gives back one derivative per part of the input."""
        weight, bias = getattr(self, "W_" + name), getattr(self, "b_" + name)
        weight.grad += np.hstack(parts).T @ dy
        bias.grad += dy.sum(axis=0)
        widths = np.cumsum([part.shape[1] for part in parts])[:-1]
        return np.split(dy @ weight.T, widths, axis=1)


class GaussianMixin:
    """A Gaussian is the pair (mean, log variance)."""

    @staticmethod
    def halves(both):
        middle = both.shape[1] // 2
        return both[:, :middle], both[:, middle:]

    @staticmethod
    def kl(q, p):
        (mq, lq), (mp, lp) = q, p
        return 0.5 * np.sum(lp - lq + (np.exp(lq) + (mq - mp) ** 2) / np.exp(lp) - 1.0)

    @staticmethod
    def kl_back(q, p, scale):
        (mq, lq), (mp, lp) = q, p
        precision = np.exp(-lp)
        dmq = (mq - mp) * precision
        dlq = 0.5 * (np.exp(lq) * precision - 1.0)
        dmp = -dmq
        dlp = 0.5 * (1.0 - (np.exp(lq) + (mq - mp) ** 2) * precision)
        return (scale * dmq, scale * dlq), (scale * dmp, scale * dlp)

    @staticmethod
    def nll(x, mean, logvar):
        return 0.5 * np.sum(np.log(2 * np.pi) + logvar + (x - mean) ** 2 * np.exp(-logvar))

    @staticmethod
    def nll_back(x, mean, logvar, scale):
        error = (x - mean) * np.exp(-logvar)
        return -scale * error, 0.5 * scale * (1.0 - error * (x - mean))

    @staticmethod
    def sample(mean, logvar, noise):
        return mean + np.exp(0.5 * logvar) * noise

    @staticmethod
    def sample_back(dz, logvar, noise):
        return dz, 0.5 * dz * noise * np.exp(0.5 * logvar)


class LeakyMixin:
    """h' = (1 - a) h + a tanh(...), one leak a = sigmoid(leak) per unit."""

    @property
    def rate(self):
        return 1.0 / (1.0 + np.exp(-self.leak.data))

    def recur(self, x, z, h):
        candidate = np.tanh(self.dense("rec", x, z, h))
        return h + self.rate * (candidate - h), candidate

    def recur_back(self, dnew, x, z, h, candidate):
        a = self.rate
        self.leak.grad += np.sum(dnew * (candidate - h), axis=0) * a * (1 - a)
        dpre = dnew * a * (1 - candidate ** 2)
        _, dz, dh = self.dense_back("rec", dpre, x, z, h)
        return dz, dh + dnew * (1 - a)


class VRNN(ParametersMixin, DenseMixin, GaussianMixin, LeakyMixin):
    def __init__(self, rng, n_x, n_z, n_h, n_feat, beta=0.6):
        self.beta = beta
        for name, (rows, columns) in dict(prior=(n_h, 2 * n_z), enc=(n_x + n_h, n_feat), post=(n_feat, 2 * n_z), dec=(n_z + n_h, n_feat),
                                          out=(n_feat, 2 * n_x), rec=(n_x + n_z + n_h, n_h)).items():
            setattr(self, "W_" + name, Parameter(rng.normal(size=(rows, columns)) * 0.6))
            setattr(self, "b_" + name, Parameter(rng.normal(size=columns) * 0.3))
        self.h0 = Parameter(rng.normal(size=n_h))
        self.leak = Parameter(rng.normal(size=n_h))
        self._steps = []

    @property
    def is_run(self):
        return bool(self._steps)

    def forward(self, xs, noises):
        self._steps = []
        n = xs.shape[1]
        h = np.repeat(self.h0.data[None, :], n, axis=0)
        total = 0.0
        for x, noise in zip(xs, noises):
            prior = self.halves(self.dense("prior", h))
            enc = np.tanh(self.dense("enc", x, h))
            post = self.halves(self.dense("post", enc))
            z = self.sample(*post, noise)
            dec = np.tanh(self.dense("dec", z, h))
            out = self.halves(self.dense("out", dec))
            total += self.nll(x, *out) + self.beta * self.kl(post, prior)
            new, candidate = self.recur(x, z, h)
            self._steps.append((x, noise, h, prior, enc, post, z, dec, out, candidate))
            h = new
        return total / n

    def backward(self):
        if not self.is_run:
            raise RuntimeError("forward first")
        self.zero_grad()
        scale = 1.0 / len(self._steps[0][0])
        dh = np.zeros_like(self._steps[0][2])
        for x, noise, h, prior, enc, post, z, dec, out, candidate in reversed(self._steps):
            dz, dprev = self.recur_back(dh, x, z, h, candidate)

            # decoder
            ddec, = self.dense_back("out", np.hstack(self.nll_back(x, *out, scale)), dec)
            dz_dec, dh_dec = self.dense_back("dec", ddec * (1 - dec ** 2), z, h)
            dz = dz + dz_dec

            # posterior: by the sample and by the KL
            (dmean, dlogvar), dprior = self.kl_back(post, prior, scale * self.beta)
            by_mean, by_logvar = self.sample_back(dz, post[1], noise)
            denc, = self.dense_back("post", np.hstack((dmean + by_mean, dlogvar + by_logvar)), enc)
            _, dh_enc = self.dense_back("enc", denc * (1 - enc ** 2), x, h)

            dh_prior, = self.dense_back("prior", np.hstack(dprior), h)
            dh = dprev + dh_dec + dh_enc + dh_prior
        self.h0.grad += dh.sum(axis=0)


def make(Target, rng, T=3, B=3, X=2, Z=2, H=3, F=3):
    model = VRNN(rng, X, Z, H, F)
    xs, noises = rng.normal(size=(T, B, X)), rng.normal(size=(T, B, Z))

    def grads():
        model.forward(xs, noises)
        model.backward()
        return {name: parameter.grad for name, parameter in model.named_parameters.items()}

    weights = {name: parameter.data for name, parameter in model.named_parameters.items()}
    return Target(weights, lambda: model.forward(xs, noises), grads)


BUGS = {
    "weight-gradient-of-the-last-call-only": ("weight.grad += np.hstack(parts).T @ dy", "weight.grad[...] = np.hstack(parts).T @ dy"),
    "kl-by-the-own-variance": ("dmq = (mq - mp) * precision", "dmq = (mq - mp) * np.exp(-lq)"),
    "kl-prior-logvar-without-the-means": ("dlp = 0.5 * (1.0 - (np.exp(lq) + (mq - mp) ** 2) * precision)", "dlp = 0.5 * (1.0 - np.exp(lq) * precision)"),
    "nll-logvar-error-scaled-twice": ("return -scale * error, 0.5 * scale * (1.0 - error * (x - mean))", "return -scale * error, 0.5 * scale * (1.0 - error ** 2)"),
    "sample-without-the-deviation": ("return dz, 0.5 * dz * noise * np.exp(0.5 * logvar)", "return dz, 0.5 * dz * noise"),
    "leak-skip-of-the-wrong-share": ("return dz, dh + dnew * (1 - a)", "return dz, dh + dnew * a"),
    "latent-from-the-decoder-only": ("dz = dz + dz_dec", "dz = dz_dec"),
    "carry-without-the-encoder": ("dh = dprev + dh_dec + dh_enc + dh_prior", "dh = dprev + dh_dec + dh_prior"),
}

PAIRS = [("kl-by-the-own-variance", "leak-skip-of-the-wrong-share"), ("sample-without-the-deviation", "carry-without-the-encoder")]
