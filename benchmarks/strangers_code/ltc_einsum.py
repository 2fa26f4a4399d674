# Liquid time-constant neurons (Hasani et al.), fused semi-implicit solver, K sub-steps per sample.
# Irregularly sampled series -> every sample has its own Δ.      layout: (channel, batch, time)
#
#   cₘ dv/dt = g (v_leak - v) + Σⱼ w σ(γ(vⱼ-μ)) (E - v) + same thing for the sensory synapses
#
#   v ← (cₘ/δ v + g v_leak + Σ w σ E) / (cₘ/δ + g + Σ w σ),     δ = Δ/K
#
# indices:  i post   j pre   k input   o output   b batch   t time          xᵇ ("bar") = dL/dx
from types import SimpleNamespace as NS
import numpy as np

es = np.einsum
σ = lambda a: 1/(1 + np.exp(-a))
softplus = lambda a: np.log1p(np.exp(a))

POSITIVE = ['w', 'ws', 'g', 'cm']          # stored raw, used through a softplus


def effective(θ, wiring):
    p = NS(**{n: softplus(a) if n in POSITIVE else a for n, a in θ.items()})
    p.w = p.w*wiring
    return p


def solve_one(p, v, S, δ):
    """one sub-step;  v (i,b), δ (b), S = sensory currents of this sample"""
    s   = σ(p.γ[:, :, None]*(v[None] - p.μ[:, :, None]))
    act = p.w[:, :, None]*s
    cδ  = p.cm[:, None]/δ
    num = cδ*v + (p.g*p.vleak)[:, None] + es('ijb,ij->ib', act, p.E) + S.num
    den = cδ + p.g[:, None] + es('ijb->ib', act) + S.den
    return num/den, NS(v=v, s=s, act=act, den=den, new=num/den, δ=δ)


def sensory(p, x):
    u = p.a[:, None]*x + p.c[:, None]
    s = σ(p.γs[:, :, None]*(u[None] - p.μs[:, :, None]))
    act = p.ws[:, :, None]*s
    return NS(x=x, u=u, s=s, act=act, num=es('ikb,ik->ib', act, p.Es), den=act.sum(1))


def run(p, X, Δ, K):
    nT = X.shape[2]
    v = np.repeat(p.v0[:, None], X.shape[1], axis=1)
    V, tape = np.zeros(v.shape + (nT,)), []
    for t in range(nT):
        S, sub = sensory(p, X[:, :, t]), []
        for _ in range(K):
            v, rec = solve_one(p, v, S, Δ[:, t]/K)
            sub.append(rec)
        tape.append((S, sub))
        V[..., t] = v
    Y = es('oi,ibt->obt', p.R, V) + p.r[:, None, None]
    return V, Y, tape


def objective(Y, D, q):
    """log-cosh, averaged over batch (weights q, summing to one) and time"""
    return es('obt,b->', np.log(np.cosh(Y - D)), q)/Y.shape[2]


def pullback(θ, p, wiring, V, Y, tape, D, q):
    ḡ = NS(**{n: np.zeros_like(a) for n, a in θ.items()})
    nT = Y.shape[2]
    Yᵇ = np.tanh(Y - D)*q[None, :, None]/nT
    ḡ.R = es('obt,ibt->oi', Yᵇ, V)
    ḡ.r = es('obt->o', Yᵇ)
    Vᵇ = es('oi,obt->ibt', p.R, Yᵇ)

    vᵇ = np.zeros(V.shape[:2])
    for t in reversed(range(nT)):
        S, sub = tape[t]
        vᵇ = vᵇ + Vᵇ[..., t]
        Snᵇ, Sdᵇ = np.zeros_like(vᵇ), np.zeros_like(vᵇ)
        for m in reversed(sub):
            nᵇ = vᵇ/m.den
            dᵇ = -vᵇ*m.new/m.den
            Snᵇ += nᵇ
            Sdᵇ += dᵇ
            ḡ.vleak += p.g*nᵇ.sum(1)
            ḡ.g  += es('ib,i->i', nᵇ, p.vleak) + dᵇ.sum(1)
            ḡ.cm += es('ib,b->i', nᵇ*m.v + dᵇ, 1/m.δ)
            # recurrent synapses
            ḡ.E += es('ib,ijb->ij', nᵇ, m.act)
            actᵇ = es('ib,ij->ijb', nᵇ, p.E) + dᵇ[:, None]
            ḡ.w += es('ijb,ijb->ij', actᵇ, m.s)*wiring
            zᵇ = actᵇ*p.w[:, :, None]*m.s*(1 - m.s)
            ḡ.γ += es('ijb,jb->ij', zᵇ, m.v) - p.μ*zᵇ.sum(2)
            ḡ.μ -= p.γ*zᵇ.sum(2)
            vᵇ = nᵇ*p.cm[:, None]/m.δ + es('ijb,ij->jb', zᵇ, p.γ)
        # sensory synapses: constant during the sub-steps, so one pull-back per sample is enough
        ḡ.Es += es('ib,ikb->ik', Snᵇ, S.act)
        actᵇ = es('ib,ik->ikb', Snᵇ, p.Es) + Sdᵇ[:, None]
        ḡ.ws += es('ikb,ikb->ik', actᵇ, S.s)
        zsᵇ = actᵇ*p.ws[:, :, None]*S.s*(1 - S.s)
        ḡ.γs += es('ikb,ikb->ik', zsᵇ, S.u[None] - p.μs[:, :, None])
        ḡ.μs -= p.γs*zsᵇ.sum(2)
        uᵇ = es('ikb,ik->kb', zsᵇ, p.γs)
        ḡ.a += es('kb,kb->k', uᵇ, S.x)
        ḡ.c += uᵇ.sum(1)
    ḡ.v0 = vᵇ.sum(1)
    out = vars(ḡ)
    for n in POSITIVE:
        out[n] = out[n]*σ(θ[n])            # d softplus
    return out


def make(Target, rng, T=5, B=3, H=4, I=2, O=2, K=3):
    N = lambda m, s, *sh: rng.normal(m, s, sh)
    θ = dict(w=N(0.5, .8, H, H),  γ=N(1.5, .6, H, H),  μ=N(0, .5, H, H),  E=N(0, 1.5, H, H),
             ws=N(0.5, .8, H, I), γs=N(1.5, .6, H, I), μs=N(0, .5, H, I), Es=N(0, 1.5, H, I),
             g=N(0, .5, H), vleak=N(0, .8, H), cm=N(0.5, .5, H), v0=N(0, .8, H),
             a=N(1, .4, I), c=N(0, .4, I), R=N(0, 1, O, H), r=N(0, .4, O))
    wiring = (rng.random((H, H)) < .75).astype(float)
    wiring[np.arange(H), (np.arange(H) + 1) % H] = 1.      # a ring is always there ...
    if H > 1: wiring[0, 0] = 0.                            # ... and one synapse never is
    X, D = N(0, 1, I, B, T), N(0, 1, O, B, T)
    Δ = rng.uniform(.4, 1.8, (B, T))
    q = rng.uniform(.5, 2, B)
    q /= q.sum()

    def loss():
        return float(objective(run(effective(θ, wiring), X, Δ, K)[1], D, q))

    def grads():
        p = effective(θ, wiring)
        return pullback(θ, p, wiring, *run(p, X, Δ, K), D, q)

    return Target(θ, loss, grads)


BUGS = {
    "batch-weights-forgotten": ("Yᵇ = np.tanh(Y - D)*q[None, :, None]/nT", "Yᵇ = np.tanh(Y - D)/Y.shape[1]/nT"),
    "state-carry-lost-between-samples": ("vᵇ = vᵇ + Vᵇ[..., t]", "vᵇ = Vᵇ[..., t]"),
    "denominator-with-old-state": ("dᵇ = -vᵇ*m.new/m.den", "dᵇ = -vᵇ*m.v/m.den"),
    "sensory-only-first-substep": ("Snᵇ += nᵇ", "Snᵇ = nᵇ"),
    "wiring-mask-forgotten": ("ḡ.w += es('ijb,ijb->ij', actᵇ, m.s)*wiring", "ḡ.w += es('ijb,ijb->ij', actᵇ, m.s)"),
    "centre-sign": ("ḡ.μ -= p.γ*zᵇ.sum(2)", "ḡ.μ += p.γ*zᵇ.sum(2)"),
    "recurrent-path-transposed": ("es('ijb,ij->jb', zᵇ, p.γ)", "es('ijb,ij->ib', zᵇ, p.γ)"),
    "softplus-derivative-of-effective": ("out[n] = out[n]*σ(θ[n])", "out[n] = out[n]*σ(vars(p)[n])"),
}
PAIRS = [
    ("batch-weights-forgotten", "sensory-only-first-substep"),
    ("state-carry-lost-between-samples", "denominator-with-old-state"),
    ("wiring-mask-forgotten", "centre-sign"),
    ("recurrent-path-transposed", "softplus-derivative-of-effective"),
    ("denominator-with-old-state", "centre-sign"),
    ("sensory-only-first-substep", "wiring-mask-forgotten"),
]
