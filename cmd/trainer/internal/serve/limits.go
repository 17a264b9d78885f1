package serve

import "time"

// Limits says how much the clients may take. All bytes are of all requests together unless the comment says otherwise.
type Limits struct {
	Connections int   // at once; further ones wait until one is closed
	Header      int   // bytes of the headers of a request
	Body        int64 // bytes of the body of a request
	Bodies      int64 // bytes of bodies, images and answers that are held
	Decoding    int64 // bytes that decoding pictures takes
	Pictures    int   // in a request

	// Each reader of the page has a network. The one unused for longest makes room for the next.
	Sessions     int
	SessionBytes int64
	Streams      int // pages that get the events of a training

	HeaderTime time.Duration // for the headers to arrive
	ReadTime   time.Duration // for the whole request to arrive
	AnswerTime time.Duration // for an answer to be computed, from when the headers have arrived
	WriteTime  time.Duration // for the answer to be taken, from when the headers have arrived
	IdleTime   time.Duration // between two requests of a connection
	StopTime   time.Duration // for the answers that are being given when the server is asked to stop
}

// DefaultLimits returns the limits of trainer serve. A connection costs about 50 KB, so that clients can take about 600 MB
// in all, and the networks of the page's readers another GB.
func DefaultLimits() Limits {
	return Limits{
		Connections: 1024,
		Header:      16 << 10,
		Body:        32 << 20,
		Bodies:      256 << 20,
		Decoding:    256 << 20,
		Pictures:    64,

		Sessions:     16,
		SessionBytes: 1 << 30,
		Streams:      64,

		HeaderTime: 5 * time.Second,
		ReadTime:   30 * time.Second,
		AnswerTime: 30 * time.Second,
		WriteTime:  60 * time.Second,
		IdleTime:   30 * time.Second,
		StopTime:   10 * time.Second,
	}
}
