package serve

import (
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
}

// networkInfo describes a network to the page.
type networkInfo struct {
	Name     string   `json:"name"`
	Trained  bool     `json:"trained"`
	Classes  []string `json:"classes"`
	Height   int      `json:"height"`
	Width    int      `json:"width"`
	Channels int      `json:"channels"`
	Samples  bool     `json:"samples"` // there may be pictures to choose from
}

func (n *Network) info() networkInfo {
	return networkInfo{n.Name, n.Trained, n.Classes, n.Images.Height, n.Images.Width, n.Images.Channels, n.Samples != nil}
}
