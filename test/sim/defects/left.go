package defects

// ofLeft are faults by which something stays when everybody has left.
var ofLeft = []Defect{
	{"order-unheard", "sharded", nil, "adapter/rooms.go", "\tr.mu.Unlock()\n\tr.notify(changed)\n\tr.tell(m, true, joined...)\n", "\tr.mu.Unlock()\n\tif add || !on(\"order-unheard\", 1) {\n\t\tr.notify(changed)\n\t}\n\tr.tell(m, true, joined...)\n"},
}
