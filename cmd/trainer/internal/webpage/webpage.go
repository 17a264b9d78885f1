// Package webpage writes the results of a run as one HTML file, which needs nothing else: figures are inside it, there are no
// scripts, and its content security policy forbids them.
package webpage

import (
	_ "embed"
	"encoding/base64"
	"html/template"
	"io"
)

// Page is what the page shows. All texts may be those of strangers: they are escaped.
type Page struct {
	Title    string
	Headline string // the result, in one line
	Facts    []Fact
	Figures  []Figure
	Layers   []Layer // of the network
	Classes  []Class // of the report on the test images; may be empty
	Means    []Class // over the classes
	Config   string  // the configuration, as TOML
	Program  string  // name and version of the program that wrote the page
}

// Fact is a row of the table at the beginning.
type Fact struct{ Name, Value string }

// Figure is a picture with what it shows.
type Figure struct {
	Name    string // such as "curves"
	Caption string
	Format  string // png or svg
	Data    []byte
}

// Class is a row of the table of classes. The numbers are texts.
type Class struct{ Name, Precision, Recall, F1, Images string }

// Layer is a row of the table of layers. The numbers are texts.
type Layer struct{ Name, Kind, Output, Parameters, FLOPs string }

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Parse(pageText))

// Source returns the picture as a data URL.
func (f Figure) Source() template.URL {
	kind := "image/png"
	if f.Format == "svg" {
		kind = "image/svg+xml"
	}
	return template.URL("data:" + kind + ";base64," + base64.StdEncoding.EncodeToString(f.Data))
}

// Write writes the page.
func Write(w io.Writer, p *Page) error { return page.Execute(w, p) }
