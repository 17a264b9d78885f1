package model

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"image/color"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"trainer/nn"
	"trainer/nn/data"
)

// Version is the version of the metadata that this package writes. It reads this version and older ones.
const Version = 1

// The keys of the metadata.
const (
	keyVersion     = "trainer.model"
	keyRecipe      = "recipe"
	keyClasses     = "classes"
	keyImages      = "images"
	keyLayout      = "layout"
	keyRun         = "run"
	keyTemperature = "temperature"
)

// KeyPrecision is the key of the metadata of ONNX files that says in which precision, other than float32, they are. Such a
// file is no model: see Open.
const KeyPrecision = "precision"

// KeyViews is the key of the metadata of exported files whose model has test-time views. It says that the file computes the
// image as it is, which gives another accuracy than the recipe's test.
const KeyViews = "views"

// Info is what a model file holds beside the weights.
type Info struct {
	// Recipe is the text of the recipe that describes the network, or "" for a network that was written in Go, which Open
	// then needs as WithNetwork.
	Recipe  string
	Classes []string // in the order of the network's outputs
	Images  Images
	Run     Run
	// Temperature divides the network's outputs before the softmax; 0 means 1.
	Temperature float64
}

// Images says how a picture becomes the network's input.
type Images struct {
	Height   int `json:"height"`
	Width    int `json:"width"`
	Channels int `json:"channels"` // 1: gray, 3: RGB
	// Resize is the way to resize pictures of another size: crop, pad or stretch.
	Resize data.Resize `json:"resize"`
	// Background is the colour under transparent pixels and around padded pictures, such as "#ffffff".
	Background string `json:"background"`
	// Orientation is "exif", or "ignore" if files are read as they are stored.
	Orientation string `json:"orientation"`
	// Mean and Std, one value per channel, normalise pixels p in 0 to 255: x = (p/255 - mean) / std.
	Mean []float32 `json:"mean"`
	Std  []float32 `json:"std"`
}

// Run says where a model comes from.
type Run struct {
	ID       string `json:"id"`      // of the run
	Program  string `json:"program"` // version of the program that trained it
	Data     string `json:"data"`    // name of the data set, or name of the folder
	Recipe   string `json:"recipe"`  // name of the recipe
	Weights  string `json:"weights"` // which weights: last, best or ema
	Finished bool   `json:"finished"`
	// TestCorrect of TestCount test images were classified correctly; TestCount is 0 if there was no test.
	TestCorrect int `json:"test_correct"`
	TestCount   int `json:"test_count"`
}

// ImagesOf describes the images of a preparation, normalised by mean and std.
func ImagesOf(p data.Preparation, mean, std []float32) Images {
	im := Images{Height: p.H, Width: p.W, Channels: p.C, Resize: p.Resize, Orientation: "exif", Mean: mean, Std: std}
	if im.Resize == "" {
		im.Resize = data.ResizeStretch
	}
	if p.IgnoreOrientation {
		im.Orientation = "ignore"
	}
	b := p.Background
	if b == (color.NRGBA{}) {
		b = color.NRGBA{R: 255, G: 255, B: 255}
	}
	im.Background = fmt.Sprintf("#%02x%02x%02x", b.R, b.G, b.B)
	return im
}

// Preparation returns how pictures become images of bytes.
func (im Images) Preparation() data.Preparation {
	rgb, _ := hex.DecodeString(strings.TrimPrefix(im.Background, "#")) // check has accepted it
	p := data.Preparation{H: im.Height, W: im.Width, C: im.Channels, Resize: im.Resize, IgnoreOrientation: im.Orientation == "ignore"}
	if len(rgb) == 3 {
		p.Background = color.NRGBA{R: rgb[0], G: rgb[1], B: rgb[2], A: 255}
	}
	return p
}

// shape returns the shape of the network's input.
func (im Images) shape() nn.Shape { return nn.Shape{im.Height, im.Width, im.Channels} }

// The limits of what is read from a model file, which may come from a stranger.
const (
	maxClasses   = 1 << 20
	maxClassName = 1 << 12 // bytes
	maxSide      = 1 << 15 // pixels
	maxChannels  = 1 << 10
)

// check returns an error if something is missing or invalid.
func (i *Info) check() error {
	if len(i.Classes) == 0 || len(i.Classes) > maxClasses {
		return fmt.Errorf("%d classes, want 1 to %d", len(i.Classes), maxClasses)
	}
	for k, name := range i.Classes {
		if len(name) > maxClassName || !utf8.ValidString(name) {
			return fmt.Errorf("the name of class %d is not valid text of at most %d bytes", k, maxClassName)
		}
	}
	if t := i.Temperature; t != 0 && !(t > 0 && !math.IsInf(t, 0)) {
		return fmt.Errorf("temperature %v, want a positive number", t)
	}
	return i.Images.check()
}

func (im *Images) check() error {
	side := func(n int) bool { return n >= 1 && n <= maxSide }
	rgb, err := hex.DecodeString(strings.TrimPrefix(im.Background, "#"))
	switch {
	case !side(im.Height) || !side(im.Width) || im.Channels < 1 || im.Channels > maxChannels:
		return fmt.Errorf("images of %dx%dx%d, want sides of 1 to %d and 1 to %d channels", im.Height, im.Width, im.Channels, maxSide, maxChannels)
	case !slices.Contains(data.Resizes(), im.Resize):
		return fmt.Errorf("unknown way to resize %q", im.Resize)
	case err != nil || len(rgb) != 3 || !strings.HasPrefix(im.Background, "#"):
		return fmt.Errorf("background %q, want a colour such as #ffffff", im.Background)
	case im.Orientation != "exif" && im.Orientation != "ignore":
		return fmt.Errorf("orientation %q, want exif or ignore", im.Orientation)
	case len(im.Mean) != im.Channels || len(im.Std) != im.Channels:
		return fmt.Errorf("%d means and %d standard deviations for %d channels", len(im.Mean), len(im.Std), im.Channels)
	}
	for c := range im.Mean {
		m, s := float64(im.Mean[c]), float64(im.Std[c])
		if math.IsNaN(m) || math.IsInf(m, 0) || !(s > 0) || math.IsInf(s, 0) {
			return fmt.Errorf("mean %v and standard deviation %v of channel %d, want finite numbers and a positive deviation", m, s, c)
		}
	}
	return nil
}

// metadata returns the metadata of a file.
func (i *Info) metadata(layout Layout) (map[string]string, error) {
	if err := i.check(); err != nil {
		return nil, err
	}
	meta := map[string]string{keyVersion: strconv.Itoa(Version), keyRecipe: i.Recipe}
	for key, value := range map[string]any{keyClasses: i.Classes, keyImages: i.Images, keyLayout: layout, keyRun: i.Run} {
		text, err := json.Marshal(value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		meta[key] = string(text)
	}
	if i.Temperature != 0 && i.Temperature != 1 {
		meta[keyTemperature] = strconv.FormatFloat(i.Temperature, 'g', -1, 64)
	}
	return meta, nil
}

// Metadata returns the metadata of the model's file.
func (m *Model) Metadata() (map[string]string, error) { return m.info.metadata(layoutOf(m.net)) }

// readInfo reads and checks the metadata of a file.
func readInfo(meta map[string]string) (*Info, error) {
	version, ok := meta[keyVersion]
	if !ok {
		return nil, ErrNoModel
	}
	n, err := strconv.Atoi(version)
	if err != nil || n < 1 {
		return nil, fmt.Errorf("its version of the metadata is %q, want a number", version)
	}
	if n > Version {
		return nil, fmt.Errorf("it is a model of a newer version of this program (model format %d; this program reads up to %d)", n, Version)
	}
	i := &Info{Recipe: meta[keyRecipe]}
	var layout Layout // only for other programs, but it must be well-formed
	for _, e := range []struct {
		key  string
		into any
	}{{keyClasses, &i.Classes}, {keyImages, &i.Images}, {keyRun, &i.Run}, {keyLayout, &layout}} {
		if err := decodeStrictly(meta[e.key], e.into); err != nil {
			return nil, fmt.Errorf("its metadata %s: %w", e.key, err)
		}
	}
	if text, ok := meta[keyTemperature]; ok {
		if i.Temperature, err = strconv.ParseFloat(text, 64); err != nil || i.Temperature == 0 {
			return nil, fmt.Errorf("its metadata %s: %q is not a positive number", keyTemperature, text)
		}
	}
	if err := i.check(); err != nil {
		return nil, fmt.Errorf("its metadata: %w", err)
	}
	return i, nil
}

// decodeStrictly decodes JSON that has no other fields than into.
func decodeStrictly(text string, into any) error {
	if text == "" {
		return fmt.Errorf("missing")
	}
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if d.More() {
		return fmt.Errorf("more than one value")
	}
	return nil
}
