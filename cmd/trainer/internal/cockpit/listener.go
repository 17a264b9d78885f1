package cockpit

// Event is something that happened to a training.
type Event struct {
	Kind string // "state", "steps" or "epoch"
	Data any    // a State, []train.StepMetrics or train.EpochMetrics
}

// maxEvents is the number of events that wait for someone who watches.
const maxEvents = 256

// Listener gets the events of a training, from when it was made. Its channel is closed if it falls behind, and must then be
// made anew.
type Listener struct{ events chan Event }

// Events returns the channel.
func (l *Listener) Events() <-chan Event { return l.events }

// Listen returns a listener. Stop it when it is no longer read.
func (t *Training) Listen() *Listener {
	l := &Listener{make(chan Event, maxEvents)}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.listeners[l] = true
	return l
}

// StopListening ends a listener.
func (t *Training) StopListening(l *Listener) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.listeners, l)
}

// tell passes an event on. Training waits for nobody: who falls behind is left out.
func (t *Training) tell(e Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for l := range t.listeners {
		select {
		case l.events <- e:
		default:
			delete(t.listeners, l)
			close(l.events)
		}
	}
}
