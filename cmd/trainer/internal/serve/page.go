package serve

import (
	"embed"
	"net/http"
)

// The page is plain JavaScript in web/, which esbuild bundles into web/dist (make web). The bundle is part of the program,
// and nothing is fetched from elsewhere.

//go:embed web/dist
var dist embed.FS

// pageFiles are the files of the page, by their paths, with their types.
func pageFiles() map[string]struct{ file, kind string } {
	return map[string]struct{ file, kind string }{
		"/{$}":     {"index.html", "text/html; charset=utf-8"},
		"/app.js":  {"app.js", "text/javascript; charset=utf-8"},
		"/app.css": {"app.css", "text/css; charset=utf-8"},
	}
}

// pageRoutes lets the page's files be read.
func (s *Server) pageRoutes() {
	for path, f := range pageFiles() {
		content, err := dist.ReadFile("web/dist/" + f.file)
		if err != nil {
			panic("serve: " + err.Error()) // the files are part of the program
		}
		s.handle("GET", path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", f.kind)
			_, _ = w.Write(content)
		})
	}
}
