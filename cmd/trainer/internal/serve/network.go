package serve

import (
	"trainer/cmd/trainer/internal/learn"
	"trainer/nn/data"
	"trainer/nn/inspect"
	"trainer/nn/model"
)

// Network is what the page shows.
type Network struct {
	Name    string // no two networks have the same
	Trained bool
	Run     bool // it was trained by a run of the page, and makes room for others
	Classes []string
	Images  model.Images
	// Open returns a session with weights of its own. The server calls it while nothing else uses the page's device or the
	// models' device.
	Open func() (*inspect.Session, error)
	// Samples returns pictures to choose from, of the network's size, or an error if there are none on this machine. It may
	// be nil.
	Samples func() (data.Set, error)
	Example *learn.Example // if the network is the worked example
}

// describe describes a network to the page.
func (n *Network) describe() learn.Description {
	d := learn.Description{
		Name: n.Name, Trained: n.Trained, Classes: n.Classes,
		Height: n.Images.Height, Width: n.Images.Width, Channels: n.Images.Channels,
		Samples: n.Samples != nil, White: 255,
	}
	if n.Example != nil {
		d.White, d.Example = n.Example.White, true
	}
	return d
}

// ExampleNetwork returns the worked example as a network of the page.
func ExampleNetwork(x *learn.Example) Network {
	h, w, c := x.Pictures.ImageShape()
	return Network{
		Name: learn.ExampleName, Classes: x.Classes, Images: model.ImagesOf(data.Preparation{H: h, W: w, C: c}, nil, nil),
		Open: x.Open, Samples: func() (data.Set, error) { return x.Pictures, nil }, Example: x,
	}
}
