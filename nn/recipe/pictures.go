package recipe

import (
	"encoding/hex"
	"errors"
	"image/color"
	"strings"

	"trainer/nn"
	"trainer/nn/data"
	"trainer/nn/setting"
)

// Pictures says how the picture files of a folder become images of one size: the table [data] of a recipe.
//
//	[data]
//	sets = ["cifar10"]        # the data sets it is meant for; data = ["cifar10"] does if this is all
//	size = 64                 # of the images; otherwise that of the first picture
//	resize = "crop"           # or "pad", "stretch"
//	background = "white"      # under transparent pixels, and around padded pictures; or "black", "#rrggbb"
//	orientation = "exif"      # or "ignore": as the files are stored
//	grayscale = false
//	classes = ["cat", "dog"]  # names of the classes, in the order of the labels; otherwise sorted
//	labels = "coarse"         # which labels, if the data has several: of CIFAR-100, or a column of a table
//	transpose = false         # swap rows and columns of images in arrays
//	balance = false           # show every class as often as the largest
type Pictures struct {
	Size              nn.Pair // zero: that of the first picture
	Resize            data.Resize
	Background        color.NRGBA // the zero value is white
	IgnoreOrientation bool
	Grayscale         bool // read the pictures in gray

	Classes   []string // names of the classes, in the order of the labels; nil means that the data decides
	Labels    string   // which labels, if the data has several; "" means the usual ones
	Transpose bool     // swap rows and columns of images in arrays
	Balance   bool     // repeat training images until every class has as many as the largest
}

// isTable reports whether a value is a table.
func isTable(v any) bool {
	_, ok := v.(map[string]any)
	return ok
}

// read reads the table [data]; sets are the data sets that it names.
func (p *Pictures) read(s *section, sets *[]string) {
	defer s.finish()
	var l setting.List
	l.Texts(sets, "sets", "data sets that it is meant for")
	l.Pair(&p.Size.H, &p.Size.W, "size", 0, setting.AtLeast(1), "size of the images")
	setting.Choice(&l, &p.Resize, "resize", setting.Names(data.Resizes()...), "how pictures of another size are resized")
	l.Func("background", `"white", "black" or "#rrggbb"`, "colour under transparent pixels", func(v any) (err error) {
		p.Background, err = readColor(v)
		return err
	})
	orientation := "exif"
	setting.Choice(&l, &orientation, "orientation", setting.Names("exif", "ignore"), "whether pictures are turned upright")
	l.Bool(&p.Grayscale, "grayscale", "read the pictures in gray")
	l.Texts(&p.Classes, "classes", "names of the classes, in the order of the labels")
	l.Text(&p.Labels, "labels", "which labels, if the data has several: coarse of CIFAR-100, or a column of a table")
	l.Bool(&p.Transpose, "transpose", "swap rows and columns of images in arrays")
	l.Bool(&p.Balance, "balance", "show every class as often as the largest")
	s.read(&l)
	p.IgnoreOrientation = orientation == "ignore"
}

var errColor = errors.New(`want "white", "black" or a colour such as "#ff8000"`)

// readColor reads a colour.
func readColor(v any) (color.NRGBA, error) {
	text, _ := v.(string)
	switch text {
	case "white":
		return color.NRGBA{R: 255, G: 255, B: 255, A: 255}, nil
	case "black":
		return color.NRGBA{A: 255}, nil
	}
	digits, ok := strings.CutPrefix(text, "#")
	rgb, err := hex.DecodeString(digits)
	if !ok || err != nil || len(rgb) != 3 {
		return color.NRGBA{}, errColor
	}
	return color.NRGBA{R: rgb[0], G: rgb[1], B: rgb[2], A: 255}, nil
}

// WithImageSize returns the recipe with the size of a folder's images and the way to resize them.
func (r *Recipe) WithImageSize(h, w int, resize data.Resize) (*Recipe, error) {
	return r.with(func(d *document) {
		listToTable(d.root)
		table, ok := d.root["data"].(map[string]any)
		if !ok {
			table = map[string]any{}
			d.root["data"] = table
			d.noteSet("data")
		}
		delete(d.root, "image-size")
		table["size"], table["resize"] = []any{int64(h), int64(w)}, string(resize)
	})
}

// WithoutClasses returns the recipe without what it says about the classes and labels of its data, for use with other data.
func (r *Recipe) WithoutClasses() (*Recipe, error) {
	return r.with(func(d *document) {
		if table, ok := d.root["data"].(map[string]any); ok {
			for _, key := range []string{"classes", "labels", "transpose"} {
				delete(table, key)
			}
		}
	})
}

// Options returns the options with which a data set is opened.
func (p *Pictures) Options() data.Options {
	return data.Options{
		ImageSize: [2]int{p.Size.H, p.Size.W}, Resize: p.Resize, Background: p.Background, Grayscale: p.Grayscale,
		IgnoreOrientation: p.IgnoreOrientation, Classes: p.Classes, Labels: p.Labels, Transpose: p.Transpose,
	}
}

// listToTable turns data = ["cifar10"] into a table with these sets, so that a key of it can be set.
func listToTable(root map[string]any) {
	if list, ok := root["data"].([]any); ok {
		root["data"] = map[string]any{"sets": list}
	}
}

// removeSets makes the recipe one of no data set in particular.
func removeSets(root map[string]any) {
	if table, ok := root["data"].(map[string]any); ok {
		delete(table, "sets")
		return
	}
	delete(root, "data")
}
