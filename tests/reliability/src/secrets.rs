//! The secrets in the settings of every host here, each unlike all others, so that a hit names its source.

/// One secret, and where it was set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Secret {
    pub(crate) name: &'static str,
    pub(crate) value: &'static str,
}

const fn secret(name: &'static str, value: &'static str) -> Secret {
    Secret { name, value }
}

pub(crate) const TOKEN: Secret = secret("token", "tk.Vq7/Zr~2+mXw8=Lp4!Ns9hYe3cGd");
pub(crate) const URL_USER: Secret = secret("user in the URL", "usr_Jm5Kx8Tb2Wf7");
pub(crate) const URL_PASSWORD: Secret = secret("password in the URL", "pw+Hd6/Qn3@Cz9:Rv4?Bs1#Xk8");
pub(crate) const PATH_KEY: Secret = secret("key in the path of the URL", "pk-Fy4Lw9Gt6Mj2Dq8Sx3Kb7Pn5");
pub(crate) const QUERY: Secret = secret("query of the URL", "qy.Rc3Vh8Nz5Tk1Jf6Wp9Ld2Xg7");
/// What follows `whsec_`: base64 of the bytes that sign.
pub(crate) const SIGNING: Secret = secret("signing secret", "c2lnLVdtOFB0NEtmMVpqN0hxM05kNlJ4OVZiNQ==");
pub(crate) const LICENSE: Secret = secret("license key", "lk \"Gz2\\Mv7'Tn4<Qp9>Yf5&Hs1\" Bj8");
pub(crate) const PROXY_USER: Secret = secret("user of the proxy", "prx_Lc6Dn1Yq8Vt3");
pub(crate) const PROXY_PASSWORD: Secret = secret("password of the proxy", "px-Tw5Zk9Rf2Mb7Xh4Jd8Qs3");
pub(crate) const DATABASE: Secret = secret("password of the database", "db-Nk8Gs3Vy6Cp1Wt9Lf5Hq2");

pub(crate) const ALL: [Secret; 10] =
    [TOKEN, URL_USER, URL_PASSWORD, PATH_KEY, QUERY, SIGNING, LICENSE, PROXY_USER, PROXY_PASSWORD, DATABASE];
