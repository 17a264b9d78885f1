//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import "gorgonia.org/cu"

// reserve makes room for what a plan needs during its calls. The larger memory replaces the smaller, which lives on
// in graphs that use it.
func (d *Device) reserve(bytes int64) error {
	if bytes == 0 || d.workspace != nil && d.workspace.bytes >= bytes {
		return nil
	}
	m, err := d.allocate(bytes)
	if err == nil {
		d.workspace = m
	}
	return err
}

// scratch returns the address of the workspace, 0 where no plan has needed one. It must be asked for at each
// call, because a later plan's reserve may move it.
func (d *Device) scratch() cu.DevicePtr {
	if d.workspace == nil {
		return 0
	}
	return d.at(d.workspace)
}

// workspaceAlignment is the alignment of the parts of a workspace, in bytes.
const workspaceAlignment = 256

// layout places parts in a workspace, one behind the other.
type layout struct{ bytes int64 }

// place returns where a part of so many bytes begins.
func (l *layout) place(bytes int) (offset cu.DevicePtr) {
	offset = cu.DevicePtr(l.bytes)
	l.bytes += (int64(bytes) + workspaceAlignment - 1) / workspaceAlignment * workspaceAlignment
	return offset
}
