package serve

import (
	"embed"
	"io/fs"
	"net/http"
	"path"

	"trainer/docs"
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
		"/umap.js": {"umap.js", "text/javascript; charset=utf-8"},
		"/app.css": {"app.css", "text/css; charset=utf-8"},
	}
}

// textKinds are the types of the files of the text that the page shows.
func textKinds() map[string]string {
	return map[string]string{".md": "text/markdown; charset=utf-8", ".svg": "image/svg+xml", ".png": "image/png"}
}

// pageRoutes lets the files of the page and of its text be read.
func (s *Server) pageRoutes() {
	for address, f := range pageFiles() {
		s.file(dist, "web/dist/"+f.file, address, f.kind)
	}
	err := fs.WalkDir(docs.Text, ".", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			s.file(docs.Text, name, "/text/"+name, textKinds()[path.Ext(name)])
		}
		return err
	})
	if err != nil {
		panic("serve: " + err.Error()) // the files are part of the program
	}
}

// file lets a file of the program be read.
func (s *Server) file(files embed.FS, name, address, kind string) {
	content, err := files.ReadFile(name)
	if err != nil {
		panic("serve: " + err.Error()) // the file is part of the program
	}
	s.handle("GET", address, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", kind)
		_, _ = w.Write(content)
	})
}
