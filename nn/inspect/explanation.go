package inspect

// Quantity is what a question is about.
type Quantity string

// The quantities.
const (
	Value          Quantity = "value"           // a value of a place, from the forward pass
	Gradient       Quantity = "gradient"        // the gradient with respect to a value of a place
	WeightGradient Quantity = "weight-gradient" // the gradient with respect to an element of a parameter
)

// Question asks where a number came from.
type Question struct {
	Of     Quantity `json:"of"`
	Place  int      `json:"place"`  // of Value and Gradient
	Tensor string   `json:"tensor"` // of WeightGradient, such as "conv1.weight"
	Index  int      `json:"index"`  // of the element
	// Largest limits the terms of the answer to those of largest absolute value; 0 means 256, and -1 all.
	Largest int `json:"largest"`
}

// Explanation says where a number came from: it is the sum of Terms and Rest.
type Explanation struct {
	Question
	Name  string `json:"name"`  // of the place or the tensor
	Kind  string `json:"kind"`  // of the layer that computed the number
	At    []int  `json:"at"`    // the element's coordinates: row, column, channel of an image
	Shape []int  `json:"shape"` // of the place or the tensor

	Formula string `json:"formula"` // of the layer, as in its documentation
	Numbers string `json:"numbers"` // the formula with the numbers in it, shortened if it is long

	Terms []Term  `json:"terms"` // in reading order
	Count int     `json:"count"` // of all terms
	Rest  float64 `json:"rest"`  // sum of the terms that are not in Terms
	Sum   float64 `json:"sum"`   // of all terms, in float64
	// Result is what the sum becomes: Sum itself, or a function of it, such as the activation's.
	Result float64 `json:"result"`
	// Engine is the engine's number. It differs from Result by at most Tolerance, the bound on the rounding errors of the
	// engine's arithmetic.
	Engine    float64 `json:"engine"`
	Tolerance float64 `json:"tolerance"`

	Facts  []Fact  `json:"facts"`            // numbers that the layer uses, such as mean and variance
	Window *Window `json:"window,omitempty"` // the part of the input that was read
	Winner *Source `json:"winner,omitempty"` // of max pooling
	// Candidates are what max pooling chose from, in reading order.
	Candidates []Source `json:"candidates,omitempty"`
	Note       *Note    `json:"note,omitempty"` // what else there is to know
	// Exact is false if a layer doesn't describe itself. The terms of a value then come from the layer's derivative, with a
	// last term for what the derivative doesn't account for; gradients may be a single term.
	Exact bool `json:"exact"`
}

// Note is what else there is to know about a number. Its sentence is in the language of whoever shows it.
type Note struct {
	Kind    NoteKind `json:"kind"`
	Layer   string   `json:"layer,omitempty"` // that doesn't describe itself
	Won     int      `json:"won"`             // of NoteMaximum: the windows whose maximum the value is,
	Windows int      `json:"windows"`         // of those that contain it
}

// NoteKind names a sentence.
type NoteKind string

// The notes.
const (
	NoteNormalized     NoteKind = "normalized"      // the picture was given as normalised values
	NoteReaders        NoteKind = "readers"         // several layers read the value: what they send back is added
	NoteUnused         NoteKind = "unused"          // no output was computed from the value
	NoteMaximum        NoteKind = "maximum"         // the value is the maximum of Won of the Windows that contain it
	NoteXhat           NoteKind = "xhat"            // each gradient is multiplied by the normalised value xhat of its place
	NoteDerivedValue   NoteKind = "derived-value"   // Layer doesn't describe itself: the factors are its derivative, and the last term is the rest
	NoteDerived        NoteKind = "derived"         // Layer doesn't describe itself: the factors are its derivative
	NoteDerivedTooMany NoteKind = "derived-many"    // Layer doesn't describe itself, and has too many outputs to ask for the share of each
	NoteUnknownWeight  NoteKind = "unknown-weights" // Layer doesn't say where the gradient of its weight comes from
	NoteUnknownLoss    NoteKind = "unknown-loss"    // the loss doesn't describe itself
)

// NoteKinds lists the notes.
func NoteKinds() []NoteKind {
	return []NoteKind{
		NoteNormalized, NoteReaders, NoteUnused, NoteMaximum, NoteXhat, NoteDerivedValue, NoteDerived, NoteDerivedTooMany, NoteUnknownWeight, NoteUnknownLoss,
	}
}

// Term is one summand: Factor times the number at Source, or a parameter alone.
type Term struct {
	Source *Source `json:"source,omitempty"` // nil for a bias and for a constant
	// Weight is the parameter's element that is the factor, nil for a constant factor.
	Weight *Element `json:"weight,omitempty"`
	// Other is a second number that was multiplied, in the gradient of a weight the value that the weight was used on.
	Other  *Source `json:"other,omitempty"`
	Factor float64 `json:"factor"`
	Value  float64 `json:"value"` // of the whole term
	Label  string  `json:"label"` // such as "x[3,4,0] w[2,0,1,0]" or "bias[2]"
}

// Source is a number of a place.
type Source struct {
	Of    Quantity `json:"of"` // Value or Gradient
	Place int      `json:"place"`
	Index int      `json:"index"`
	At    []int    `json:"at"`
	Value float64  `json:"value"`
}

// Element is an element of a parameter.
type Element struct {
	Tensor string  `json:"tensor"`
	Index  int     `json:"index"`
	At     []int   `json:"at"`
	Value  float64 `json:"value"`
}

// Fact is a number with a name, such as the running mean of a channel.
type Fact struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
}

// Window is the part of an input that a window covers, which may reach beyond the image: rows Top + a*DilationH for
// a = 0..Rows-1, columns likewise, and channels Channel to Channel+Channels-1.
type Window struct {
	Place     int `json:"place"`
	Top       int `json:"top"`
	Left      int `json:"left"`
	Rows      int `json:"rows"`
	Columns   int `json:"columns"`
	DilationH int `json:"dilation_h"`
	DilationW int `json:"dilation_w"`
	Channel   int `json:"channel"`
	Channels  int `json:"channels"`
}
