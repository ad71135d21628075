"""Right functions of SciPy: special functions with the slopes of the textbooks (NIST
Digital Library of Mathematical Functions), logarithms of densities, and linear maps
with the transposed of their matrix.
"""

import numpy as np
from scipy import fft, integrate, interpolate, linalg, ndimage, optimize, signal, stats
from scipy import special as sp
from scipy.spatial import distance

from .case import Map, normal, uniform

SQRT_PI = np.sqrt(np.pi)


def by_slope(slope):
    return lambda g, x: g * slope(x)


def special():
    """Yield special functions of one variable."""
    positive = uniform(0.3, 4.0, 6)
    real = uniform(-2.5, 2.5, 6)
    unit = uniform(-0.9, 0.9, 6)
    open_unit = uniform(0.05, 0.95, 6)
    table = [
        ("gamma", sp.gamma, lambda x: sp.gamma(x) * sp.psi(x), positive),
        ("gammaln", sp.gammaln, sp.psi, positive),
        ("gammaln, negative", sp.gammaln, sp.psi, uniform(-2.9, -2.1, 4)),
        ("rgamma", sp.rgamma, lambda x: -sp.psi(x) * sp.rgamma(x), real),
        ("psi", sp.psi, lambda x: sp.polygamma(1, x), positive),
        ("polygamma 1", _order(sp.polygamma, 1), _order(sp.polygamma, 2), positive),
        ("polygamma 3", _order(sp.polygamma, 3), _order(sp.polygamma, 4), positive),
        ("erf", sp.erf, lambda x: 2 / SQRT_PI * np.exp(-x * x), real),
        ("erfc", sp.erfc, lambda x: -2 / SQRT_PI * np.exp(-x * x), real),
        ("erfcx", sp.erfcx, lambda x: 2 * x * sp.erfcx(x) - 2 / SQRT_PI, real),
        ("erfi", sp.erfi, lambda x: 2 / SQRT_PI * np.exp(x * x), unit),
        ("dawsn", sp.dawsn, lambda x: 1 - 2 * x * sp.dawsn(x), real),
        (
            "erfinv",
            sp.erfinv,
            lambda x: 0.5 * SQRT_PI * np.exp(sp.erfinv(x) ** 2),
            unit,
        ),
        (
            "erfcinv",
            sp.erfcinv,
            lambda x: -0.5 * SQRT_PI * np.exp(sp.erfcinv(x) ** 2),
            open_unit,
        ),
        ("ndtr", sp.ndtr, _density, real),
        ("log_ndtr", sp.log_ndtr, lambda x: _density(x) / sp.ndtr(x), real),
        ("ndtri", sp.ndtri, lambda x: 1 / _density(sp.ndtri(x)), open_unit),
        ("expit", sp.expit, lambda x: sp.expit(x) * sp.expit(-x), real),
        ("log_expit", sp.log_expit, lambda x: sp.expit(-x), real),
        ("logit", sp.logit, lambda x: 1 / (x * (1 - x)), open_unit),
        ("entr", sp.entr, lambda x: -np.log(x) - 1, positive),
        ("exprel", sp.exprel, lambda x: (np.exp(x) - sp.exprel(x)) / x, positive),
        ("expm1", sp.expm1, np.exp, real),
        ("log1p", sp.log1p, lambda x: 1 / (1 + x), positive),
        ("cosm1", sp.cosm1, lambda x: -np.sin(x), real),
        ("exp2", sp.exp2, lambda x: np.log(2) * sp.exp2(x), real),
        ("exp10", sp.exp10, lambda x: np.log(10) * sp.exp10(x), unit),
        ("cbrt", sp.cbrt, lambda x: sp.cbrt(x) / (3 * x), positive),
        ("sindg", sp.sindg, lambda x: np.pi / 180 * sp.cosdg(x), 40 * real),
        ("cosdg", sp.cosdg, lambda x: -np.pi / 180 * sp.sindg(x), 40 * real),
        ("tandg", sp.tandg, _tandg_slope, 20 * unit),
        ("j0", sp.j0, lambda x: -sp.j1(x), positive),
        ("j1", sp.j1, lambda x: sp.j0(x) - sp.j1(x) / x, positive),
        ("y0", sp.y0, lambda x: -sp.y1(x), positive),
        ("y1", sp.y1, lambda x: sp.y0(x) - sp.y1(x) / x, positive),
        ("i0", sp.i0, sp.i1, real),
        ("i1", sp.i1, lambda x: sp.i0(x) - sp.i1(x) / x, real),
        ("i0e", sp.i0e, lambda x: sp.i1e(x) - np.sign(x) * sp.i0e(x), real),
        (
            "i1e",
            sp.i1e,
            lambda x: sp.i0e(x) - sp.i1e(x) * (np.sign(x) + 1 / x),
            real,
        ),
        ("k0", sp.k0, lambda x: -sp.k1(x), positive),
        ("k1", sp.k1, lambda x: -sp.k0(x) - sp.k1(x) / x, positive),
        ("k0e", sp.k0e, lambda x: sp.k0e(x) - sp.k1e(x), positive),
        ("k1e", sp.k1e, lambda x: sp.k1e(x) * (1 - 1 / x) - sp.k0e(x), positive),
        ("jv 2.5", _order(sp.jv, 2.5), lambda x: sp.jvp(2.5, x), positive),
        ("yv 1.5", _order(sp.yv, 1.5), lambda x: sp.yvp(1.5, x), positive),
        ("iv 0.7", _order(sp.iv, 0.7), lambda x: sp.ivp(0.7, x), positive),
        ("kv 2.2", _order(sp.kv, 2.2), lambda x: sp.kvp(2.2, x), positive),
        (
            "spherical_jn 2",
            _order(sp.spherical_jn, 2),
            lambda x: sp.spherical_jn(2, x, derivative=True),
            positive,
        ),
        (
            "spherical_kn 1",
            _order(sp.spherical_kn, 1),
            lambda x: sp.spherical_kn(1, x, derivative=True),
            positive,
        ),
        ("Airy Ai", _part(sp.airy, 0), _part(sp.airy, 1), real),
        ("Airy Bi", _part(sp.airy, 2), _part(sp.airy, 3), real),
        ("itj0y0", _part(sp.itj0y0, 0), sp.j0, positive),
        ("struve 0", _order(sp.struve, 0), _struve_slope, positive),
        ("ber", sp.ber, sp.berp, positive),
        ("bei", sp.bei, sp.beip, positive),
        ("ker", sp.ker, sp.kerp, positive),
        ("kei", sp.kei, sp.keip, positive),
        ("expi", sp.expi, lambda x: np.exp(x) / x, positive),
        ("exp1", sp.exp1, lambda x: -np.exp(-x) / x, positive),
        ("expn 3", _order(sp.expn, 3), lambda x: -sp.expn(2, x), positive),
        ("sine integral", _part(sp.sici, 0), lambda x: np.sin(x) / x, positive),
        ("cosine integral", _part(sp.sici, 1), lambda x: np.cos(x) / x, positive),
        ("shi", _part(sp.shichi, 0), lambda x: np.sinh(x) / x, positive),
        ("chi", _part(sp.shichi, 1), lambda x: np.cosh(x) / x, positive),
        ("spence", sp.spence, lambda x: np.log(x) / (1 - x), positive),
        ("ellipk", sp.ellipk, _ellipk_slope, open_unit),
        ("ellipe", sp.ellipe, _ellipe_slope, open_unit),
        (
            "ellipkinc",
            lambda x: sp.ellipkinc(x, 0.4),
            lambda x: 1 / np.sqrt(1 - 0.4 * np.sin(x) ** 2),
            real,
        ),
        (
            "ellipeinc",
            lambda x: sp.ellipeinc(x, 0.4),
            lambda x: np.sqrt(1 - 0.4 * np.sin(x) ** 2),
            real,
        ),
        ("Jacobi sn", lambda x: sp.ellipj(x, 0.4)[0], _jacobi_slope, real),
        (
            "gammainc 1.5",
            _order(sp.gammainc, 1.5),
            lambda x: np.sqrt(x) * np.exp(-x) / sp.gamma(1.5),
            positive,
        ),
        (
            "gammaincc 2",
            _order(sp.gammaincc, 2.0),
            lambda x: -x * np.exp(-x),
            positive,
        ),
        (
            "gammaincinv 2",
            _order(sp.gammaincinv, 2.0),
            lambda x: 1 / (sp.gammaincinv(2.0, x) * np.exp(-sp.gammaincinv(2.0, x))),
            open_unit,
        ),
        (
            "betainc 2, 3",
            lambda x: sp.betainc(2.0, 3.0, x),
            lambda x: x * (1 - x) ** 2 / sp.beta(2.0, 3.0),
            open_unit,
        ),
        (
            "betaincinv 2, 3",
            lambda x: sp.betaincinv(2.0, 3.0, x),
            _betaincinv_slope,
            open_unit,
        ),
        ("zeta 2, q", lambda x: sp.zeta(2.0, x), lambda x: -2 * sp.zeta(3.0, x),
         positive),
        ("lambertw", lambda x: sp.lambertw(x).real, _lambert_slope, positive),
        ("wrightomega", sp.wrightomega, _omega_slope, real),
        ("hyp1f1", lambda x: sp.hyp1f1(1.2, 2.3, x),
         lambda x: 1.2 / 2.3 * sp.hyp1f1(2.2, 3.3, x), real),
        ("hyp2f1", lambda x: sp.hyp2f1(0.5, 1.2, 2.3, x),
         lambda x: 0.5 * 1.2 / 2.3 * sp.hyp2f1(1.5, 2.2, 3.3, x), unit),
        ("hyp0f1", lambda x: sp.hyp0f1(1.7, x), lambda x: sp.hyp0f1(2.7, x) / 1.7,
         real),
        ("Legendre 4", lambda x: sp.eval_legendre(4, x), _legendre_slope, unit),
        ("Chebyshev 5", lambda x: sp.eval_chebyt(5, x),
         lambda x: 5 * sp.eval_chebyu(4, x), unit),
        ("Hermite 3", lambda x: sp.eval_hermite(3, x),
         lambda x: 6 * sp.eval_hermite(2, x), real),
        ("Laguerre 3", lambda x: sp.eval_laguerre(3, x),
         lambda x: -sp.eval_genlaguerre(2, 1, x), positive),
        ("Gegenbauer 3", lambda x: sp.eval_gegenbauer(3, 0.8, x),
         lambda x: 1.6 * sp.eval_gegenbauer(2, 1.8, x), unit),
        ("Huber 1", lambda x: sp.huber(1.0, x), lambda x: np.clip(x, -1, 1), real),
        ("pseudo-Huber 1", lambda x: sp.pseudo_huber(1.0, x),
         lambda x: x / np.sqrt(1 + x * x), real),
        ("Box-Cox 0.4", lambda x: sp.boxcox(x, 0.4), lambda x: x**-0.6, positive),
        ("Box-Cox 1p", lambda x: sp.boxcox1p(x, 0.4), lambda x: (1 + x) ** -0.6,
         positive),
        ("inverse Box-Cox", lambda x: sp.inv_boxcox(x, 0.4),
         lambda x: (1 + 0.4 * x) ** 1.5, positive),
        ("Voigt profile", lambda x: sp.voigt_profile(x, 0.8, 0.5), _voigt_slope, real),
        ("Owen's T", lambda x: sp.owens_t(0.7, x),
         lambda x: np.exp(-0.245 * (1 + x * x)) / (2 * np.pi * (1 + x * x)), real),
        ("chdtr 3", lambda x: sp.chdtr(3.0, x), lambda x: stats.chi2.pdf(x, 3),
         positive),
        ("stdtr 4", lambda x: sp.stdtr(4.0, x), lambda x: stats.t.pdf(x, 4), real),
        ("fdtr", lambda x: sp.fdtr(3.0, 5.0, x), lambda x: stats.f.pdf(x, 3, 5),
         positive),
        ("poch 2.5", lambda x: sp.poch(x, 2.5),
         lambda x: sp.poch(x, 2.5) * (sp.psi(x + 2.5) - sp.psi(x)), positive),
        ("binom in n", lambda x: sp.binom(x, 2.0), lambda x: x - 0.5,
         3 + positive),
    ]  # fmt: skip
    for name, f, slope, x in table:
        yield Map(f"scipy.special: {name}", f, by_slope(slope), (x,))


def _order(f, n):
    return lambda x: f(n, x)


def _part(f, k):
    return lambda x: f(x)[k]


def _density(x):
    return np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi)


def _tandg_slope(x):
    return np.pi / 180 * (1 + sp.tandg(x) ** 2)


def _struve_slope(x):
    return 2 / np.pi - sp.struve(1, x)


def _ellipk_slope(m):
    return (sp.ellipe(m) / (1 - m) - sp.ellipk(m)) / (2 * m)


def _ellipe_slope(m):
    return (sp.ellipe(m) - sp.ellipk(m)) / (2 * m)


def _jacobi_slope(x):
    _, cn, dn, _ = sp.ellipj(x, 0.4)
    return cn * dn


def _betaincinv_slope(x):
    y = sp.betaincinv(2.0, 3.0, x)
    return sp.beta(2.0, 3.0) / (y * (1 - y) ** 2)


def _lambert_slope(x):
    w = sp.lambertw(x).real
    return w / (x * (1 + w))


def _omega_slope(x):
    w = sp.wrightomega(x)
    return w / (1 + w)


def _legendre_slope(x):
    return 4 * (x * sp.eval_legendre(4, x) - sp.eval_legendre(3, x)) / (x * x - 1)


def _voigt_slope(x):
    z = (x + 0.5j) / (0.8 * np.sqrt(2))
    return -2 * (z * sp.wofz(z)).real / (0.8 * np.sqrt(2) * 0.8 * np.sqrt(2 * np.pi))


def of_two():
    """Yield special functions of two variables, and reductions."""
    a, b, x = uniform(0.5, 3, 5), uniform(0.5, 3, 5, seed=1), normal(5)
    table = [
        ("beta", sp.beta, _beta_gradient, (a, b)),
        ("betaln", sp.betaln,
         lambda g, a, b: (g * (sp.psi(a) - sp.psi(a + b)),
                          g * (sp.psi(b) - sp.psi(a + b))), (a, b)),
        ("xlogy", sp.xlogy, lambda g, x, y: (g * np.log(y), g * x / y), (x, b)),
        ("xlog1py", sp.xlog1py, lambda g, x, y: (g * np.log1p(y), g * x / (1 + y)),
         (x, b)),
        ("rel_entr", sp.rel_entr,
         lambda g, x, y: (g * (np.log(x / y) + 1), -g * x / y), (a, b)),
        ("kl_div", sp.kl_div,
         lambda g, x, y: (g * np.log(x / y), g * (1 - x / y)), (a, b)),
        ("powm1", sp.powm1,
         lambda g, x, y: (g * y * x ** (y - 1), g * x**y * np.log(x)), (a, x)),
        ("agm", sp.agm, _agm_gradient, (a, b)),
        ("logsumexp", sp.logsumexp, lambda g, x: g * sp.softmax(x), (x,)),
        ("softmax", sp.softmax,
         lambda g, x: sp.softmax(x) * (g - g @ sp.softmax(x)), (x,)),
        ("log_softmax", sp.log_softmax, lambda g, x: g - g.sum() * sp.softmax(x),
         (x,)),
        ("multigammaln", lambda a: sp.multigammaln(a, 3),
         lambda g, a: g * sum(sp.psi(a - k / 2) for k in range(3)), (3 + a[0],)),
    ]  # fmt: skip
    for name, f, vjp, point in table:
        yield Map(f"scipy.special: {name}", f, vjp, point)


def _beta_gradient(g, a, b):
    value, both = sp.beta(a, b), sp.psi(a + b)
    return g * value * (sp.psi(a) - both), g * value * (sp.psi(b) - both)


def _agm_gradient(g, a, b):
    # By homogeneity M = a M_a + b M_b, and M = pi (a + b) / (4 K(((a-b)/(a+b))**2)).
    mean, m = sp.agm(a, b), ((a - b) / (a + b)) ** 2
    in_m = -mean / sp.ellipk(m) * _ellipk_slope(m)
    da = mean / (a + b) + in_m * 4 * b * (a - b) / (a + b) ** 3
    db = mean / (a + b) - in_m * 4 * a * (a - b) / (a + b) ** 3
    return g * da, g * db


def densities():
    """Yield logarithms of densities in the value, the location and the scale."""
    real, positive = normal(5), uniform(0.3, 3.0, 5)
    inside = uniform(0.1, 0.9, 5)
    table = [
        ("norm", stats.norm(), lambda x: -x, real),
        ("logistic", stats.logistic(), lambda x: -np.tanh(x / 2), real),
        ("cauchy", stats.cauchy(), lambda x: -2 * x / (1 + x * x), real),
        ("laplace", stats.laplace(), lambda x: -np.sign(x), real),
        ("t", stats.t(3.5), lambda x: -4.5 * x / (3.5 + x * x), real),
        ("gumbel_r", stats.gumbel_r(), lambda x: np.exp(-x) - 1, real),
        ("gumbel_l", stats.gumbel_l(), lambda x: 1 - np.exp(x), real),
        ("hypsecant", stats.hypsecant(), lambda x: -np.tanh(x), real),
        ("moyal", stats.moyal(), lambda x: 0.5 * (np.exp(-x) - 1), real),
        ("skewnorm", stats.skewnorm(2.0), _skewed_slope, real),
        ("gennorm", stats.gennorm(3.0), lambda x: -3 * x * np.abs(x), real),
        ("loggamma", stats.loggamma(1.7), lambda x: 1.7 - np.exp(x), real),
        ("genlogistic", stats.genlogistic(1.4),
         lambda x: -1 + 2.4 * sp.expit(-x), real),
        ("expon", stats.expon(), lambda x: -np.ones_like(x), positive),
        ("gamma", stats.gamma(2.3), lambda x: 1.3 / x - 1, positive),
        ("invgamma", stats.invgamma(2.3), lambda x: -3.3 / x + 1 / x**2, positive),
        ("chi2", stats.chi2(5), lambda x: 1.5 / x - 0.5, positive),
        ("chi", stats.chi(3), lambda x: 2 / x - x, positive),
        ("weibull_min", stats.weibull_min(1.8),
         lambda x: 0.8 / x - 1.8 * x**0.8, positive),
        ("lognorm", stats.lognorm(0.9),
         lambda x: -(1 + np.log(x) / 0.81) / x, positive),
        ("rayleigh", stats.rayleigh(), lambda x: 1 / x - x, positive),
        ("maxwell", stats.maxwell(), lambda x: 2 / x - x, positive),
        ("halfnorm", stats.halfnorm(), lambda x: -x, positive),
        ("halfcauchy", stats.halfcauchy(), lambda x: -2 * x / (1 + x * x), positive),
        ("pareto", stats.pareto(2.5), lambda x: -3.5 / x, 1 + positive),
        ("lomax", stats.lomax(2.5), lambda x: -3.5 / (1 + x), positive),
        ("f", stats.f(4, 6), lambda x: 1 / x - 20 / (6 + 4 * x), positive),
        ("fisk", stats.fisk(2.0), lambda x: 1 / x - 4 * x / (1 + x * x), positive),
        ("invgauss", stats.invgauss(1.0),
         lambda x: -1.5 / x - 0.5 * (1 - 1 / x**2), positive),
        ("gompertz", stats.gompertz(0.7), lambda x: 1 - 0.7 * np.exp(x), positive),
        ("beta", stats.beta(2.0, 3.5), lambda x: 1 / x - 2.5 / (1 - x), inside),
        ("arcsine", stats.arcsine(), lambda x: -0.5 / x + 0.5 / (1 - x), inside),
        ("powerlaw", stats.powerlaw(2.5), lambda x: 1.5 / x, inside),
    ]  # fmt: skip
    for name, law, slope, x in table:
        yield Map(f"scipy.stats: {name}, logpdf", law.logpdf, by_slope(slope), (x,))
        if name in ("norm", "logistic", "cauchy", "t", "gumbel_r", "hypsecant"):
            yield Map(
                f"scipy.stats: {name}, logpdf with location and scale",
                _located(law),
                _located_gradient(slope),
                (x, np.array(0.3), np.array(1.7)),
            )
        if name in ("norm", "t", "gamma", "weibull_min", "beta", "logistic"):
            yield Map(f"scipy.stats: {name}, cdf", law.cdf, by_slope(law.pdf), (x,))
            yield Map(
                f"scipy.stats: {name}, ppf",
                law.ppf,
                lambda g, q, law=law: g / law.pdf(law.ppf(q)),
                (inside,),
            )
    covariance = np.array([[2.0, 0.3], [0.3, 1.0]])
    yield Map(
        "scipy.stats: multivariate_normal, logpdf",
        lambda x: stats.multivariate_normal([0.1, 0.2], covariance).logpdf(x),
        lambda g, x: -g[:, None] * (np.linalg.solve(covariance, (x - [0.1, 0.2]).T)).T,
        (normal(4, 2),),
    )
    yield Map(
        "scipy.stats: dirichlet, logpdf in alpha",
        lambda a: stats.dirichlet.logpdf([0.2, 0.3, 0.5], a),
        lambda g, a: g * (sp.psi(a.sum()) - sp.psi(a) + np.log([0.2, 0.3, 0.5])),
        (uniform(1, 3, 3),),
    )
    yield Map(
        "scipy.stats: poisson, logpmf in mu",
        lambda mu: stats.poisson.logpmf(3, mu),
        lambda g, mu: g * (3 / mu - 1),
        (positive,),
    )


def _skewed_slope(x):
    return -x + 2 * _density(2 * x) / sp.ndtr(2 * x)


def _located(law):
    return lambda x, loc, scale: law.logpdf((x - loc) / scale) - np.log(scale)


def _located_gradient(slope):
    def vjp(g, x, loc, scale):
        z = (x - loc) / scale
        in_z = g * slope(z)
        of_scale = np.sum(-in_z * z - g) / scale
        return in_z / scale, -np.sum(in_z) / scale, of_scale

    return vjp


def linear(name, f, x):
    """Return a linear map of real arrays with the transposed of its matrix."""
    columns = np.array([np.ravel(f(e.reshape(x.shape))) for e in np.eye(x.size)])

    def vjp(g, x):
        return (columns @ np.ravel(g)).reshape(x.shape)

    return Map(name, f, vjp, (x,))


def parts(f):
    """Return a function that gives the real and the imaginary part side by side."""
    return lambda x: np.stack([f(x).real, f(x).imag])


def linear_maps():
    """Yield linear maps of images, signals, transforms, integration, splines."""
    image, line, even = normal(5, 6), normal(11), normal(8)
    sos = signal.butter(3, 0.3, output="sos")
    b, a = signal.butter(2, 0.4)
    points = np.linspace(0, 1, 11)
    at = uniform(0.05, 0.95, 6)
    kernel = np.array([0.5, -1.0, 2.0])
    # Without weights the interpolator draws from the global random state.
    nodes = points[:8]
    weights = 1 / np.prod(nodes[:, None] - nodes + np.eye(8), axis=1)
    table = [
        ("ndimage: gaussian_filter", lambda x: ndimage.gaussian_filter(x, 1.2), image),
        ("ndimage: gaussian_filter of order 1",
         lambda x: ndimage.gaussian_filter(x, 1.0, order=1), image),
        ("ndimage: uniform_filter", lambda x: ndimage.uniform_filter(x, 3), image),
        ("ndimage: convolve", lambda x: ndimage.convolve(x, np.ones((2, 3))), image),
        ("ndimage: correlate, wrapped",
         lambda x: ndimage.correlate(x, kernel[None], mode="wrap"), image),
        ("ndimage: correlate1d, mirrored",
         lambda x: ndimage.correlate1d(x, kernel, mode="mirror"), image),
        ("ndimage: laplace", ndimage.laplace, image),
        ("ndimage: gaussian_laplace", lambda x: ndimage.gaussian_laplace(x, 1), image),
        ("ndimage: sobel", ndimage.sobel, image),
        ("ndimage: prewitt", ndimage.prewitt, image),
        ("ndimage: zoom", lambda x: ndimage.zoom(x, 1.7, order=3), image),
        ("ndimage: zoom of order 1", lambda x: ndimage.zoom(x, 2, order=1), image),
        ("ndimage: shift", lambda x: ndimage.shift(x, 0.4), image),
        ("ndimage: rotate", lambda x: ndimage.rotate(x, 20, reshape=False), image),
        ("ndimage: affine_transform",
         lambda x: ndimage.affine_transform(x, [[1.0, 0.1], [-0.2, 0.9]]), image),
        ("ndimage: map_coordinates",
         lambda x: ndimage.map_coordinates(x, [[1.3, 2.2], [0.4, 3.7]]), image),
        ("ndimage: spline_filter", ndimage.spline_filter, image),
        ("ndimage: fourier_gaussian",
         lambda x: np.fft.ifft2(ndimage.fourier_gaussian(np.fft.fft2(x), 1)).real,
         image),
        ("signal: lfilter", lambda x: signal.lfilter(b, a, x), line),
        ("signal: filtfilt", lambda x: signal.filtfilt(b, a, x), line),
        ("signal: sosfilt", lambda x: signal.sosfilt(sos, x), line),
        ("signal: savgol_filter", lambda x: signal.savgol_filter(x, 5, 2), line),
        ("signal: convolve", lambda x: signal.convolve(x, kernel), line),
        ("signal: fftconvolve", lambda x: signal.fftconvolve(x, kernel), line),
        ("signal: oaconvolve", lambda x: signal.oaconvolve(x, kernel), line),
        ("signal: correlate2d",
         lambda x: signal.correlate2d(x, np.ones((2, 2)), mode="valid"), image),
        ("signal: convolve2d, symmetric",
         lambda x: signal.convolve2d(x, np.ones((2, 3)), "same", "symm"), image),
        ("signal: detrend", signal.detrend, line),
        ("signal: resample", lambda x: signal.resample(x, 17), line),
        ("signal: resample_poly", lambda x: signal.resample_poly(x, 3, 2), line),
        ("signal: upfirdn", lambda x: signal.upfirdn(kernel, x, 2), line),
        ("signal: decimate", lambda x: signal.decimate(x, 2, ftype="fir"), line),
        ("signal: hilbert", parts(signal.hilbert), line),
        ("signal: deconvolve", lambda x: signal.deconvolve(x, kernel)[0], line),
        ("signal: czt", parts(lambda x: signal.czt(x, 5)), even),
        *[(f"fft: dct {k}", _typed(fft.dct, k), even) for k in range(1, 5)],
        *[(f"fft: dst {k}", _typed(fft.dst, k), even) for k in range(1, 5)],
        *[(f"fft: idct {k}", _typed(fft.idct, k), even) for k in range(1, 5)],
        ("fft: dctn", lambda x: fft.dctn(x, norm="ortho"), image),
        ("fft: fft", parts(fft.fft), even),
        ("fft: ifft", parts(fft.ifft), even),
        ("fft: fft2", parts(fft.fft2), image),
        ("fft: rfft", parts(fft.rfft), even),
        ("fft: rfft, odd", parts(fft.rfft), line),
        ("fft: rfftn", parts(fft.rfftn), image),
        ("fft: irfft", lambda x: fft.irfft(x[:4] + 1j * x[4:], 7), even),
        ("fft: hfft", lambda x: fft.hfft(x[:4] + 1j * x[4:]), even),
        ("fft: fftshift", fft.fftshift, image),
        ("fft: orthonormal", parts(lambda x: fft.fft(x, norm="ortho")), even),
        ("integrate: trapezoid", lambda x: integrate.trapezoid(x, points), line),
        ("integrate: simpson", lambda x: integrate.simpson(x, x=points), line),
        ("integrate: cumulative_trapezoid",
         lambda x: integrate.cumulative_trapezoid(x, points), line),
        ("integrate: cumulative_simpson",
         lambda x: integrate.cumulative_simpson(x, x=points), line),
        ("interpolate: CubicSpline in its values",
         lambda x: interpolate.CubicSpline(points, x)(at), line),
        ("interpolate: make_interp_spline in its values",
         lambda x: interpolate.make_interp_spline(points, x, k=5)(at), line),
        ("interpolate: barycentric in its values",
         lambda x: interpolate.BarycentricInterpolator(nodes, x, wi=weights)(at), even),
        ("linalg: solve_toeplitz",
         lambda x: linalg.solve_toeplitz([4.0, 1, 0.5, 0.2, 0, 0, 0, 0], x), even),
        ("linalg: solve_banded",
         lambda x: linalg.solve_banded((1, 1), np.tile([[1.0], [4], [1]], 8), x), even),
        ("linalg: matmul_toeplitz",
         lambda x: linalg.matmul_toeplitz(np.arange(8.0), x), even),
        ("linalg: solve_circulant",
         lambda x: linalg.solve_circulant([4.0, 1, 0, 0, 0, 0, 0, 1], x), even),
    ]  # fmt: skip
    for name, f, x in table:
        yield linear(f"scipy.{name}", f, x)


def _typed(f, kind):
    return lambda x: f(x, type=kind)


def differentiable_splines():
    """Yield splines in where they are asked, whose slope SciPy gives."""
    points, heights, at = np.linspace(0, 3, 9), normal(9), uniform(0.1, 2.9, 6)
    for name, curve in (
        ("CubicSpline", interpolate.CubicSpline(points, heights)),
        ("PchipInterpolator", interpolate.PchipInterpolator(points, heights)),
        ("Akima1DInterpolator", interpolate.Akima1DInterpolator(points, heights)),
        ("BSpline of order 4", interpolate.make_interp_spline(points, heights, k=4)),
        ("KroghInterpolator", interpolate.KroghInterpolator(points, heights)),
    ):
        slope = curve.derivative if name.startswith("Krogh") else curve.derivative()
        yield Map(f"scipy.interpolate: {name}", curve, by_slope(slope), (at,))


A = np.array([[2.0, 0.3, -0.1], [0.2, 1.5, 0.4], [0.1, -0.6, 1.2]])
S = A @ A.T + np.eye(3)


def of_matrices():
    """Yield functions of matrices."""
    c = normal(3)
    table = [
        ("linalg: inv", linalg.inv,
         lambda g, x: -linalg.inv(x).T @ g @ linalg.inv(x).T, (A,)),
        ("linalg: det", linalg.det,
         lambda g, x: g * linalg.det(x) * linalg.inv(x).T, (A,)),
        ("linalg: solve", linalg.solve, _solve_gradient, (A, c)),
        ("linalg: lstsq", lambda x, b: linalg.lstsq(x, b)[0], _solve_gradient, (A, c)),
        ("linalg: solve_triangular",
         lambda x, b: linalg.solve_triangular(x, b, lower=True),
         _triangular_gradient, (A, c)),
        ("linalg: expm", linalg.expm,
         lambda g, x: linalg.expm_frechet(x.T, g, compute_expm=False), (0.5 * A,)),

        ("linalg: sqrtm", linalg.sqrtm, _of_blocks(linalg.sqrtm), (S,)),
        ("linalg: sinm", linalg.sinm, _of_blocks(linalg.sinm), (A,)),
        ("linalg: tanhm", linalg.tanhm, _of_blocks(linalg.tanhm), (0.5 * A,)),
        ("linalg: cosm", linalg.cosm, _of_blocks(linalg.cosm), (A,)),
        ("linalg: pinv", linalg.pinv,
         lambda g, x: -linalg.inv(x).T @ g @ linalg.inv(x).T, (A,)),
        ("linalg: svdvals", linalg.svdvals, _svdvals_gradient, (A,)),
        ("linalg: eigvalsh", lambda x: linalg.eigvalsh(0.5 * (x + x.T)),
         _eigvalsh_gradient, (S,)),
        ("linalg: norm", linalg.norm, lambda g, x: g * x / linalg.norm(x), (A,)),
        ("linalg: norm of order 2", lambda x: linalg.norm(x, 2),
         lambda g, x: _svdvals_gradient(g * np.eye(3)[0], x), (A,)),
        ("linalg: nuclear norm", lambda x: linalg.norm(x, "nuc"),
         lambda g, x: _svdvals_gradient(g * np.ones(3), x), (A,)),
        ("linalg: kron", lambda x, y: np.kron(x, y), _kron_gradient, (A, S[:2, :2])),
        ("linalg: khatri_rao", linalg.khatri_rao, _khatri_gradient, (A, S)),
        ("linalg: block_diag", linalg.block_diag,
         lambda g, x, y: (g[:3, :3], g[3:, 3:]), (A, S)),
        ("linalg: toeplitz", linalg.toeplitz, _toeplitz_gradient, (c,)),
        ("linalg: matrix power", lambda x: np.linalg.matrix_power(x, 3),
         lambda g, x: x.T @ x.T @ g + x.T @ g @ x.T + g @ x.T @ x.T, (A,)),
        ("linalg: cho_solve", lambda b: linalg.cho_solve(linalg.cho_factor(S), b),
         lambda g, b: linalg.solve(S, g), (c,)),
    ]  # fmt: skip
    for name, f, vjp, point in table:
        yield Map(f"scipy.{name}", f, vjp, point)


def _solve_gradient(g, x, b):
    back = linalg.solve(x.T, g)
    return -np.outer(back, linalg.solve(x, b)), back


def _triangular_gradient(g, x, b):
    low = np.tril(x)
    back = linalg.solve(low.T, g)
    return np.tril(-np.outer(back, linalg.solve(low, b))), back


def _of_blocks(f):
    """Return the gradient of a function of matrices, by that of a block triangle."""

    def vjp(g, x):
        n = len(x)
        block = np.block([[x.T, g], [np.zeros((n, n)), x.T]])
        return f(block)[:n, n:].real

    return vjp


def _svdvals_gradient(g, x):
    u, _, vt = linalg.svd(x)
    return (u * g) @ vt


def _eigvalsh_gradient(g, x):
    _, v = linalg.eigh(0.5 * (x + x.T))
    return (v * g) @ v.T


def _kron_gradient(g, x, y):
    blocks = g.reshape(3, 2, 3, 2)
    return np.einsum("iajb,ab->ij", blocks, y), np.einsum("iajb,ij->ab", blocks, x)


def _khatri_gradient(g, x, y):
    blocks = g.reshape(3, 3, 3)
    return np.einsum("iaj,aj->ij", blocks, y), np.einsum("iaj,ij->aj", blocks, x)


def _toeplitz_gradient(g, c):
    return np.array(
        [np.trace(g)] + [np.trace(g, k) + np.trace(g, -k) for k in range(1, c.size)]
    )


def objectives():
    """Yield objectives of tests of optimizers, distances and a few programs."""
    table = [
        ("optimize: rosen", optimize.rosen, lambda g, x: g * optimize.rosen_der(x),
         (np.array([1.3, 0.7, 0.8, 1.9, 1.2]),)),
        ("optimize: rosen_der", optimize.rosen_der,
         lambda g, x: optimize.rosen_hess_prod(x, g), (np.array([1.3, 0.7, 0.8]),)),
        ("optimize: rosen at its minimum", optimize.rosen,
         lambda g, x: g * optimize.rosen_der(x), (np.ones(4),)),
        ("a test function: Beale", _beale, _beale_gradient, (np.array([1.2, 0.4]),)),
        ("a test function: Booth", _booth, _booth_gradient, (np.array([1.2, 0.4]),)),
        ("a test function: Himmelblau", _himmelblau, _himmelblau_gradient,
         (np.array([1.2, 0.4]),)),
        ("a test function: Rastrigin", _rastrigin, _rastrigin_gradient, (normal(4),)),
        ("a test function: Ackley", _ackley, _ackley_gradient, (normal(4),)),
        ("a test function: Griewank", _griewank, _griewank_gradient,
         (5 * normal(3),)),
        ("a test function: Styblinski and Tang",
         lambda x: 0.5 * np.sum(x**4 - 16 * x**2 + 5 * x),
         lambda g, x: g * (2 * x**3 - 16 * x + 2.5), (normal(4),)),
        ("a test function: Powell", _powell, _powell_gradient, (normal(4),)),
        ("a test function: Zakharov", _zakharov, _zakharov_gradient, (normal(4),)),
        ("spatial: cdist", distance.cdist, _cdist_gradient,
         (normal(3, 2), normal(4, 2, seed=1))),
        ("spatial: cdist, squared",
         lambda a, b: distance.cdist(a, b, "sqeuclidean"), _square_gradient,
         (normal(3, 2), normal(4, 2, seed=1))),
        ("spatial: cosine", distance.cosine, _cosine_gradient,
         (normal(4), normal(4, seed=1))),
        ("spatial: city block", distance.cityblock,
         lambda g, a, b: (g * np.sign(a - b), -g * np.sign(a - b)),
         (normal(4), normal(4, seed=1))),
        ("spatial: Canberra", distance.canberra, _canberra_gradient,
         (uniform(0.5, 2, 4), uniform(0.5, 2, 4, seed=1))),
        ("signal: gauss_spline", lambda x: signal.gauss_spline(x, 3),
         by_slope(lambda x: -x * 3 * signal.gauss_spline(x, 3)), (normal(5),)),
        ("signal: magnitude of a spectrum",
         lambda x: np.abs(fft.rfft(x)) ** 2, _spectrum_gradient, (normal(8),)),
        ("ndimage: gaussian_gradient_magnitude, squared",
         lambda x: ndimage.gaussian_gradient_magnitude(x, 1.0) ** 2,
         _magnitude_gradient, (normal(5, 6),)),
        ("integrate: a pendulum of 20 leapfrog steps", _pendulum, _pendulum_gradient,
         (np.array([0.7, -0.2]),)),
        ("optimize: a root by Newton's method", _root, _root_slope,
         (uniform(1, 4, 5),)),
    ]  # fmt: skip
    for name, f, vjp, point in table:
        yield Map(f"scipy.{name}", f, vjp, point)


def _beale(x):
    a, b = x
    return sum((c - a + a * b**k) ** 2 for k, c in ((1, 1.5), (2, 2.25), (3, 2.625)))


def _beale_gradient(g, x):
    a, b = x
    da = db = 0.0
    for k, c in ((1, 1.5), (2, 2.25), (3, 2.625)):
        left = c - a + a * b**k
        da += 2 * left * (b**k - 1)
        db += 2 * left * a * k * b ** (k - 1)
    return g * np.array([da, db])


def _booth(x):
    return (x[0] + 2 * x[1] - 7) ** 2 + (2 * x[0] + x[1] - 5) ** 2


def _booth_gradient(g, x):
    p, q = x[0] + 2 * x[1] - 7, 2 * x[0] + x[1] - 5
    return g * np.array([2 * p + 4 * q, 4 * p + 2 * q])


def _himmelblau(x):
    return (x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2


def _himmelblau_gradient(g, x):
    p, q = x[0] ** 2 + x[1] - 11, x[0] + x[1] ** 2 - 7
    return g * np.array([4 * p * x[0] + 2 * q, 2 * p + 4 * q * x[1]])


def _rastrigin(x):
    return np.sum(x * x - 10 * np.cos(2 * np.pi * x) + 10)


def _rastrigin_gradient(g, x):
    return g * (2 * x + 20 * np.pi * np.sin(2 * np.pi * x))


def _ackley(x):
    root = np.sqrt(np.mean(x * x))
    return 20 - 20 * np.exp(-0.2 * root) + np.e - np.exp(np.mean(np.cos(2 * np.pi * x)))


def _ackley_gradient(g, x):
    root, n = np.sqrt(np.mean(x * x)), x.size
    waves = np.exp(np.mean(np.cos(2 * np.pi * x))) * 2 * np.pi
    first = 4 * np.exp(-0.2 * root) * x / (n * root)
    return g * (first + waves * np.sin(2 * np.pi * x) / n)


def _griewank(x):
    k = np.sqrt(np.arange(1, x.size + 1))
    return np.sum(x * x) / 4000 - np.prod(np.cos(x / k)) + 1


def _griewank_gradient(g, x):
    k = np.sqrt(np.arange(1, x.size + 1))
    return g * (x / 2000 + np.prod(np.cos(x / k)) * np.tan(x / k) / k)


def _powell(x):
    a, b, c, d = x
    return (a + 10 * b) ** 2 + 5 * (c - d) ** 2 + (b - 2 * c) ** 4 + 10 * (a - d) ** 4


def _powell_gradient(g, x):
    a, b, c, d = x
    p, q, r, s = 2 * (a + 10 * b), 10 * (c - d), 4 * (b - 2 * c) ** 3, 40 * (a - d) ** 3
    return g * np.array([p + s, 10 * p + r, q - 2 * r, -q - s])


def _zakharov(x):
    s = 0.5 * np.arange(1, x.size + 1) @ x
    return np.sum(x * x) + s**2 + s**4


def _zakharov_gradient(g, x):
    k = 0.5 * np.arange(1, x.size + 1)
    s = k @ x
    return g * (2 * x + (2 * s + 4 * s**3) * k)


def _cdist_gradient(g, a, b):
    each = (g / distance.cdist(a, b))[..., None] * (a[:, None] - b)
    return each.sum(1), -each.sum(0)


def _square_gradient(g, a, b):
    each = 2 * g[..., None] * (a[:, None] - b)
    return each.sum(1), -each.sum(0)


def _cosine_gradient(g, a, b):
    na, nb = np.linalg.norm(a), np.linalg.norm(b)
    cosine = a @ b / (na * nb)
    da = -(b / (na * nb) - cosine * a / na**2)
    return g * da, -g * (a / (na * nb) - cosine * b / nb**2)


def _canberra_gradient(g, a, b):
    d, s = a - b, a + b
    return g * np.sign(d) * 2 * b / s**2, -g * np.sign(d) * 2 * a / s**2


def _spectrum_gradient(g, x):
    return 2 * np.real(fft.fft(np.conj(g * fft.rfft(x)), 8))


def _magnitude_gradient(g, x):
    found = np.zeros_like(x)
    for order in ((1, 0), (0, 1)):

        def slope(y, order=order):
            return ndimage.gaussian_filter(y, 1.0, order=order)

        found += linear("", slope, x).vjp(2 * g * slope(x), x)
    return found


def _states(z):
    q, p = z
    states = []
    for _ in range(20):
        p = p - 0.05 * np.sin(q)
        states.append(q)
        q = q + 0.1 * p
        p = p - 0.05 * np.sin(q)
        states.append(q)
    return states, np.array([q, p])


def _pendulum(z):
    return _states(z)[1]


def _pendulum_gradient(g, z):
    states, _ = _states(z)
    gq, gp = g
    for k in range(19, -1, -1):
        gq = gq - 0.05 * np.cos(states[2 * k + 1]) * gp
        gp = gp + 0.1 * gq
        gq = gq - 0.05 * np.cos(states[2 * k]) * gp
    return np.array([gq, gp])


def _root(a):
    def residual(x):
        return x**3 + x - a

    return optimize.newton(
        residual, np.ones_like(a), lambda x: 3 * x * x + 1, tol=1e-14
    )


def _root_slope(g, a):
    return g / (3 * _root(a) ** 2 + 1)


def functions():
    """Return all functions."""
    every = (
        special,
        of_two,
        densities,
        linear_maps,
        differentiable_splines,
        of_matrices,
        objectives,
    )
    return [f for make in every for f in make()]
