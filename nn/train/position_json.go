package train

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// The position in a checkpoint comes from whoever made the file. "{}," is three bytes of text and an element of 200
// bytes in memory, so its lists are read one element at a time, and refused once they have more elements than a text of
// that length can honestly have.

// metricsList is a history.
type metricsList []EpochMetrics

// UnmarshalJSON reads the list; the metrics of an epoch take at least 64 bytes.
func (l *metricsList) UnmarshalJSON(text []byte) (err error) {
	*l, err = decodeList[EpochMetrics](text, 64)
	return err
}

// conditionList is a list of settings.
type conditionList []condition

// UnmarshalJSON reads the list; a setting takes at least {"name":"a","value":""}.
func (l *conditionList) UnmarshalJSON(text []byte) (err error) {
	*l, err = decodeList[condition](text, 22)
	return err
}

// decodeList reads a JSON list, or null, whose elements have at least so many bytes each.
func decodeList[T any](text []byte, least int) ([]T, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	open, err := d.Token()
	if err != nil || open == nil {
		return nil, err
	}
	if open != json.Delim('[') {
		return nil, fmt.Errorf("want a list, got %.20q", text)
	}
	var list []T
	for d.More() {
		if (len(list)+1)*least > len(text) {
			return nil, fmt.Errorf("a list of %d bytes has more than %d elements", len(text), len(list))
		}
		var element T
		if err := d.Decode(&element); err != nil {
			return nil, err
		}
		list = append(list, element)
	}
	return list, nil
}
