package data

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"trainer/nn/bounded"
)

// The names of columns, in lower case.
var (
	pathColumns  = []string{"path", "file", "filename", "file_name", "filepath", "file_path", "image", "image_path", "image_id", "img", "id"}
	labelColumns = []string{"label", "labels", "class", "class_name", "category", "target", "breed", "y"}
	splitColumns = []string{"split", "set", "subset", "partition", "part", "dataset"}
)

// listing is a table of pictures: a CSV file with a path, a label and perhaps a part in each row, separated by commas,
// semicolons or tabs.
type listing struct {
	file    string // in messages
	columns []string
	rows    []listingRow
}

// listingRow is a row.
type listingRow struct {
	name, label string
	part        part
	line        int
}

// columns are the places of the columns; -1 if there is none.
type columns struct{ path, label, split int }

// isListing reports whether a file's name is that of a table.
func isListing(name string) bool {
	ending := strings.ToLower(path.Ext(name))
	return ending == ".csv" || ending == ".tsv"
}

// readListing reads a table. If its first line has the names of columns, these say which is which; otherwise the first
// column has the paths, the second the labels, and the third, if there is one, the parts. Without a column of parts, all
// pictures are of the part that the file's name says, or of the training set.
func readListing(ctx context.Context, t tree, name string, opt Options) (*listing, error) {
	raw, err := readFile(ctx, t, name)
	if err != nil {
		return nil, err
	}
	raw = bytes.TrimPrefix(raw, []byte("\ufeff"))
	l := &listing{file: t.show(name)}
	r := csv.NewReader(bytes.NewReader(raw))
	r.Comma = separator(raw)
	r.ReuseRecord = true
	r.TrimLeadingSpace = true
	header, err := r.Read()
	if err != nil {
		return nil, l.badRow(err)
	}
	l.columns = slices.Clone(header)
	c, hasHeader := l.findColumns(header, opt)
	if c.path < 0 || c.path >= len(header) {
		return nil, &FormatError{l.file, 0, "a column of paths: " + strings.Join(pathColumns, ", "), fmt.Sprintf("%.200q", header)}
	}
	own := roleOf(strings.TrimSuffix(name, path.Ext(name))).part
	limit := int(bounded.Budget(int64(len(raw))) / 64)
	for row := header; ; {
		if hasHeader {
			hasHeader = false
		} else if err := l.addRow(r, row, c, own); err != nil {
			return nil, err
		}
		if row, err = r.Read(); err == io.EOF {
			break
		}
		if err != nil {
			return nil, l.badRow(err)
		}
		if len(l.rows) >= limit {
			return nil, &FormatError{l.file, -1, fmt.Sprintf("at most %d rows in a file of this size", limit), "more"}
		}
	}
	if len(l.rows) == 0 {
		return nil, &FormatError{l.file, -1, "at least one row with a path", "none"}
	}
	return l, nil
}

// badRow is an error of the CSV reader, which has line and column.
func (l *listing) badRow(err error) error {
	if err == io.EOF {
		return &FormatError{l.file, 0, "a table with paths and labels", "an empty file"}
	}
	return &FormatError{l.file, -1, "rows with the same number of columns", strings.TrimPrefix(err.Error(), "record on ")}
}

// separator returns the character that is the most frequent separator in the first line.
func separator(raw []byte) rune {
	line, _, _ := bytes.Cut(raw, []byte("\n"))
	best, most := ',', 0
	for _, c := range ",;\t" {
		if n := bytes.Count(line, []byte(string(c))); n > most {
			best, most = c, n
		}
	}
	return best
}

// findColumns returns the places of the columns, and whether the first line has their names.
func (l *listing) findColumns(first []string, opt Options) (c columns, hasHeader bool) {
	find := func(names []string) int {
		for _, name := range names {
			for i, have := range first {
				if strings.EqualFold(strings.TrimSpace(have), name) {
					return i
				}
			}
		}
		return -1
	}
	labels := labelColumns
	if opt.Labels != "" {
		labels = []string{opt.Labels}
	}
	c = columns{find(pathColumns), find(labels), find(splitColumns)}
	if c.path >= 0 || c.label >= 0 {
		if c.path < 0 && len(first) == 2 {
			c.path = 1 - c.label
		}
		if c.label < 0 && len(first) == 2 && c.path >= 0 && opt.Labels == "" {
			c.label = 1 - c.path
		}
		return c, true
	}
	c = columns{0, 1, -1}
	if len(first) < 2 {
		c.label = -1
	}
	if len(first) > 2 {
		if _, isPart := partNamed(first[2]); isPart {
			c.split = 2
		}
	}
	return c, false
}

// addRow adds a row. A row without a label has the label "".
func (l *listing) addRow(r *csv.Reader, row []string, c columns, own part) error {
	line, _ := r.FieldPos(0)
	name := strings.Clone(strings.TrimSpace(row[c.path]))
	if name == "" {
		return nil
	}
	added := listingRow{name: name, part: own, line: line}
	if c.label >= 0 {
		added.label = strings.Clone(strings.TrimSpace(row[c.label]))
	}
	if c.split >= 0 {
		var ok bool
		if added.part, ok = partNamed(strings.TrimSpace(row[c.split])); !ok {
			return &FormatError{l.file, -1, "a part such as train, val or test", fmt.Sprintf("%.40q in line %d", row[c.split], line)}
		}
	}
	l.rows = append(l.rows, added)
	return nil
}

// resolve turns the paths of all rows into names in the tree. Paths are relative to the table's folder, or, as in many
// competitions, to a folder beside it with the table's name, "images" or "train", and may lack the ending of the files:
// the first row that names a file decides. A path outside the folder is an error.
func (l *listing) resolve(t tree, root, name string) error {
	dir := path.Dir(name)
	stem := strings.TrimSuffix(path.Base(name), path.Ext(name))
	for i := range l.rows {
		if err := l.relative(&l.rows[i], root); err != nil {
			return err
		}
	}
	for _, row := range l.rows[:min(len(l.rows), 20)] {
		for _, folder := range []string{".", stem, "images", "train", "train_images", "data"} {
			for _, ending := range []string{"", ".jpg", ".jpeg", ".png", ".JPG", ".webp", ".tif"} {
				if !hasFile(t, path.Join(dir, folder), row.name+ending) {
					continue
				}
				for i := range l.rows {
					l.rows[i].name = path.Join(dir, folder, l.rows[i].name) + ending
				}
				return nil
			}
		}
	}
	return &FormatError{l.file, -1, "paths of pictures, relative to the table's folder", fmt.Sprintf("%.80q, which is not there", l.rows[0].name)}
}

// relative makes a path relative to the folder of the tree.
func (l *listing) relative(row *listingRow, root string) error {
	name := filepath.ToSlash(row.name)
	if path.IsAbs(name) {
		full, err := filepath.Abs(root)
		if err != nil {
			return err
		}
		var isBelow bool
		if name, isBelow = strings.CutPrefix(path.Clean(name), filepath.ToSlash(full)+"/"); !isBelow {
			return &FormatError{l.file, -1, "paths in the table's folder", fmt.Sprintf("%.80q in line %d", row.name, row.line)}
		}
	}
	name = strings.ReplaceAll(name, `\`, "/")
	if bounded.CheckName(name) != nil {
		return &FormatError{l.file, -1, "paths in the table's folder", fmt.Sprintf("%.80q in line %d", row.name, row.line)}
	}
	row.name = path.Clean(name)
	return nil
}

// openListings reads a data set from tables in a tree. root is the tree's path.
func openListings(ctx context.Context, name, root string, t tree, files []string, opt Options) (*Dataset, error) {
	f, err := newFolder(ctx, root, t, opt)
	if err != nil {
		return nil, err
	}
	var rows []listingRow
	var last *listing
	for _, file := range files {
		l, err := readListing(ctx, t, file, opt)
		if err != nil {
			return nil, err
		}
		if err := l.resolve(t, root, file); err != nil {
			if len(files) > 1 && l.rows[0].label == "" { // an example of what to hand in
				continue
			}
			return nil, err
		}
		rows, last = append(rows, l.rows...), l
	}
	if !slices.ContainsFunc(rows, func(r listingRow) bool { return r.label != "" }) && last != nil {
		want := "a column of labels: " + strings.Join(labelColumns, ", ") + " (data.labels names another)"
		return nil, &FormatError{last.file, -1, want, fmt.Sprintf("%.200q", last.columns)}
	}
	p, err := f.listRows(ctx, rows)
	if err != nil {
		return nil, err
	}
	return f.dataset(ctx, name, p)
}

// listRows makes the list of pictures of each part, by class and path: the order of class folders. Rows without a label
// are set aside.
func (f *folder) listRows(ctx context.Context, rows []listingRow) (*parts, error) {
	slices.SortStableFunc(rows, func(a, b listingRow) int { return comparePaths(a.name, b.name) })
	found, err := f.labelsOfRows(rows)
	if err != nil {
		return nil, err
	}
	if f.classes, err = f.opt.orderClasses(f.root, found); err != nil {
		return nil, err
	}
	kinds := make([]fileKind, len(rows))
	foreign := make([]string, len(rows))
	if err := parallel(len(rows), f.opt.workers(), func(i int) error {
		if kinds[i] = pictureFile; !f.index.knows(rows[i].name) {
			kinds[i], foreign[i] = classify(f.tree, rows[i].name)
		}
		return ctx.Err()
	}); err != nil {
		return nil, err
	}
	sorted := f.newSortedRows()
	for i, row := range rows {
		switch {
		case row.label == "" || i > 0 && rows[i-1].name == row.name && rows[i-1].part == row.part:
		case kinds[i] == foreignFormat:
			f.pictures.Unsupported[foreign[i]]++
		case !sorted.add(row.name, row.label, row.part):
			return nil, &FormatError{f.tree.show(row.name), -1, "a class of the training set", fmt.Sprintf("%q", row.label)}
		}
	}
	return sorted.parts(), nil
}

// labelsOfRows returns the labels of the training set, in natural order, and records the pictures that have none.
func (f *folder) labelsOfRows(rows []listingRow) ([]string, error) {
	var found []string
	labelOf := map[string]string{}
	for _, row := range rows {
		if row.label == "" {
			f.pictures.Unlabelled = append(f.pictures.Unlabelled, f.tree.show(row.name))
			continue
		}
		if before, isKnown := labelOf[row.name]; isKnown && before != row.label {
			return nil, &FormatError{f.tree.show(row.name), -1, "one label per picture", fmt.Sprintf("%q and %q", before, row.label)}
		}
		labelOf[row.name] = row.label
		if row.part == trainPart {
			found = append(found, row.label)
		}
	}
	slices.SortFunc(found, compareNames)
	if found = slices.Compact(found); len(found) == 0 {
		return nil, &FormatError{f.root, -1, "pictures with labels for the training set", "none"}
	}
	return found, nil
}

// comparePaths orders paths as a walk through sorted folders visits them.
func comparePaths(a, b string) int {
	return slices.Compare(strings.Split(a, "/"), strings.Split(b, "/"))
}
