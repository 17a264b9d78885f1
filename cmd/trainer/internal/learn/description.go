package learn

// Description describes a network to the page.
type Description struct {
	Name     string   `json:"name"`
	Trained  bool     `json:"trained"`
	Classes  []string `json:"classes"`
	Height   int      `json:"height"`
	Width    int      `json:"width"`
	Channels int      `json:"channels"`
	Samples  bool     `json:"samples"` // there may be pictures to choose from
	// White is the value of a pixel that is drawn white, and that the pen draws.
	White   byte `json:"white"`
	Example bool `json:"example,omitempty"` // the worked example: links of docs/backpropagation.md lead to it
}
