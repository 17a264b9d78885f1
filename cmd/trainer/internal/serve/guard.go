package serve

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// A browser sends requests for whatever page is open in it. Pages of others must neither read from the server nor change
// anything in it:
//
//   - Host. A page of attacker.example whose name is made to resolve to 127.0.0.1 would be of the server's origin for the
//     browser (DNS rebinding), but its requests have the Host attacker.example. An IP address as Host can't be rebound.
//   - Origin. http.CrossOriginProtection refuses requests that change something and come from another origin.
//   - Sec-Fetch-Site. Other requests of another site, such as those of a picture or a script in its pages, are refused,
//     except for opening the page by a link.
//   - Token. Outside this machine, everything except /healthz needs the token.

// guard decides who may come in.
type guard struct {
	hosts    []string // names that are the server's, in lower case
	loopback bool     // the server listens on this machine only
	token    string   // "" if none is needed
	cookie   string   // name of the cookie that stands for the token
	origin   http.CrossOriginProtection
}

func newGuard(c Config) *guard {
	if !IsLoopback(c.Address) && c.Token == "" {
		panic("serve: a server that other machines can reach needs a token")
	}
	g := &guard{loopback: IsLoopback(c.Address), token: c.Token}
	for _, name := range c.Hosts {
		g.hosts = append(g.hosts, strings.ToLower(name))
	}
	_, port, _ := net.SplitHostPort(c.Address.String())
	g.cookie = "trainer-" + port // browsers send a cookie to all ports of a host
	return g
}

// check returns why a request is refused, or nil.
func (g *guard) check(r *http.Request) *refusal {
	if !g.isHost(r.Host) {
		return refuse(http.StatusMisdirectedRequest, "host", "the request is for another host: open the address that trainer serve printed, or name the host with -host")
	}
	if err := g.origin.Check(r); err != nil || g.isForeignFetch(r) {
		return refuse(http.StatusForbidden, "origin", "the request comes from another site's page")
	}
	if r.URL.Path != healthPath && !g.hasToken(r) {
		return refuse(http.StatusUnauthorized, "token", "the token is missing or wrong: open the address that trainer serve printed, or send the header Authorization: Bearer TOKEN")
	}
	return nil
}

// isHost reports whether a Host header names this server. The port may be that of a tunnel.
func (g *guard) isHost(header string) bool {
	host := header
	if h, _, err := net.SplitHostPort(header); err == nil {
		host = h
	} else {
		host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if ip, err := netip.ParseAddr(host); err == nil {
		return !g.loopback || ip.IsLoopback()
	}
	return host == "localhost" || slices.Contains(g.hosts, host)
}

// isForeignFetch reports whether a browser says that a page of another site wants this, and not by a link to the page.
func (g *guard) isForeignFetch(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	if site == "" || site == "same-origin" || site == "none" {
		return false
	}
	isLink := r.Method == http.MethodGet && r.URL.Path == "/" && r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
	return !isLink
}

// hasToken reports whether a request has the token: in a header, in the cookie, or in the address of the page.
func (g *guard) hasToken(r *http.Request) bool {
	if g.token == "" {
		return true
	}
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return isSame(bearer, g.token)
	}
	if g.isEntry(r) {
		return isSame(r.URL.Query().Get("token"), g.token)
	}
	cookie, err := r.Cookie(g.cookie)
	return err == nil && isSame(cookie.Value, g.cookieValue())
}

// isEntry reports whether a request is for the page with a token in its address.
func (g *guard) isEntry(r *http.Request) bool {
	return r.Method == http.MethodGet && r.URL.Path == "/" && r.URL.Query().Has("token")
}

// cookieValue is what the cookie holds: it follows from the token, so that it outlives the process, but doesn't reveal it.
func (g *guard) cookieValue() string {
	sum := sha256.Sum256([]byte("trainer serve: cookie of the token " + g.token))
	return hex.EncodeToString(sum[:])
}

// isSame compares in a time that doesn't depend on where the texts differ.
func isSame(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// entry is the answer to the page with a token in its address: the cookie, and the page without the token. A redirect
// wouldn't do: after a link from elsewhere, the browser would follow it without a cookie that is SameSite=Strict.
const entry = `<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0; url=/"><title>trainer</title><a href="/">trainer</a>`

// let checks requests before next sees them.
func (s *Server) let(next http.Handler) http.Handler {
	g := s.guard
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		setSafeHeaders(w.Header())
		if why := g.check(r); why != nil {
			if r.Body != nil {
				w.Header().Set("Connection", "close") // the body isn't read
			}
			s.send(w, r, why)
			return
		}
		if g.token != "" && g.isEntry(r) {
			http.SetCookie(w, &http.Cookie{Name: g.cookie, Value: g.cookieValue(), Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = w.Write([]byte(entry))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// setSafeHeaders says what browsers may do with the answers: run only the page's own scripts, guess no types, send no
// addresses on, show the page in no other page, and give the answers to no other site.
func setSafeHeaders(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}
