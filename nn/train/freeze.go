package train

import (
	"encoding/json"
	"fmt"

	"trainer/nn/optim"
)

// Layers that training leaves as they are: Config.Freeze.

// thaw ends the freeze when its epoch has come. The work of a step is another one from then on, and is recorded anew.
func (s *Stepper) thaw() error {
	if s.cfg.FreezeUntil == 0 || s.part > 0 {
		return nil
	}
	frozen := !optim.Progress{Step: s.step, StepsPerEpoch: s.perEpoch}.Reached(s.cfg.FreezeUntil)
	if frozen == s.net.Frozen() {
		return nil
	}
	s.net.SetFrozen(frozen)
	for _, r := range []*recording{&s.recording, &s.partial} {
		if r.graph != nil {
			if err := s.dev.Sync(); err != nil {
				return err
			}
		}
		if err := r.close(); err != nil {
			return fmt.Errorf("recording another step: %w", err)
		}
		r.warm = false
	}
	return nil
}

// freezeSetting returns the setting of checkpoints for frozen layers, if there are any.
func (c *Config) freezeSetting() []condition {
	if len(c.Freeze) == 0 {
		return nil
	}
	names, err := json.Marshal(c.Freeze)
	if err != nil { // strings have a JSON form
		panic(err)
	}
	text := string(names)
	if c.FreezeUntil > 0 {
		text += fmt.Sprintf(" until epoch %g", c.FreezeUntil)
	}
	return []condition{{"frozen layers", text}}
}
