package optim

import (
	"fmt"
	"path"
	"strings"

	"trainer/nn"
)

// group is a Group with its defaults: one row of the hyperparameters.
type group struct {
	lrScale, decayScale float64
	untilEpoch          float64
}

// String names the group in errors.
func (g Group) String() string {
	switch {
	case g.Role == "":
		return fmt.Sprintf("%q", g.Match)
	case g.Match == "":
		return fmt.Sprintf("role %q", g.Role)
	}
	return fmt.Sprintf("%q with role %q", g.Match, g.Role)
}

func (g Group) matches(p *nn.Param) (bool, error) {
	if g.Role != "" && g.Role != p.Role {
		return false, nil
	}
	if g.Match == "" {
		return true, nil
	}
	return path.Match(g.Match, p.Name)
}

// resolve gives each parameter a row: that of the first group that matches it, or the
// last row, which is for the parameters that none matches.
func resolve(groups []Group, params []*nn.Param) (rows []group, rowOf []int, err error) {
	for _, g := range groups {
		row := group{lrScale: 1, decayScale: 1, untilEpoch: g.UntilEpoch}
		if g.LRScale != nil {
			row.lrScale = *g.LRScale
		}
		if g.DecayScale != nil {
			row.decayScale = *g.DecayScale
		}
		if !(row.lrScale >= 0) || !(row.decayScale >= 0) || !(row.untilEpoch >= 0) {
			return nil, nil, fmt.Errorf("group %v: scales and the last epoch must be 0 or more", g)
		}
		rows = append(rows, row)
	}
	rows = append(rows, group{lrScale: 1, decayScale: 1})

	taken := make([]bool, len(groups))
	rowOf = make([]int, len(params))
	for i, p := range params {
		rowOf[i] = len(groups)
		for k, g := range groups {
			ok, err := g.matches(p)
			if err != nil {
				return nil, nil, fmt.Errorf("group %v: %w", g, err)
			}
			if ok {
				rowOf[i], taken[k] = k, true
				break
			}
		}
	}
	for k, g := range groups {
		if !taken[k] {
			return nil, nil, fmt.Errorf("group %v has no parameters, or those before it have them all (trained parameters: %s)", g, names(params))
		}
	}
	return rows, rowOf, nil
}

func names(params []*nn.Param) string {
	list := make([]string, len(params))
	for i, p := range params {
		list[i] = p.Name
	}
	return strings.Join(list, ", ")
}
