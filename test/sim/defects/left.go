package defects

// ofLeft are faults by which something stays when everybody has left.
var ofLeft = []Defect{
	{"order-unheard", "sharded", nil, "adapter/rooms.go", "\t\tr.enters(m, name, isNew && r.own(name) == nil)\n\t}\n\tr.mu.Unlock()\n\tr.notify(changed)\n", "\t\tr.enters(m, name, isNew && r.own(name) == nil)\n\t}\n\tr.mu.Unlock()\n\tif add || !on(\"order-unheard\", 1) {\n\t\tr.notify(changed)\n\t}\n"},
	{"room-stays", "memory", nil, "adapter/rooms.go", "\tif len(x.list) > 0 {\n\t\treturn changed\n", "\tif len(x.list) > 0 || on(\"room-stays\", 1) {\n\t\treturn changed\n"},
	{"trail-stays", "memory+", nil, "adapter/rooms.go", "\tr.trails = r.hadTrails.Delete(r.trails, m)\n", "\tif !on(\"trail-stays\", 1) {\n\t\tr.trails = r.hadTrails.Delete(r.trails, m)\n\t}\n"},
	{"vault-stays", "memory+", nil, "adapter/vault.go", "\t\tfor l.Len() > 0 && l.Front()", "\t\tfor !on(\"vault-stays\", 1) && l.Len() > 0 && l.Front()"},
	{"asked-stays", "pubsub", nil, "adapter/redis/pieces.go", "\tdelete(n.parcels, key)\n", "\tif !on(\"asked-stays\", 1) {\n\t\tdelete(n.parcels, key)\n\t}\n"},
	{"question-stays", "sharded", nil, "adapter/redis/requests.go", "\tdelete(n.requests, r.id)\n", "\tif !on(\"question-stays\", 1) {\n\t\tdelete(n.requests, r.id)\n\t}\n"},
	{"lane-stays", "pubsub", nil, "adapter/redis/sweep.go", "\t\t\t\ts.gaps = s.had.Delete(s.gaps, key)\n", "\t\t\t\tif !on(\"lane-stays\", 1) {\n\t\t\t\t\ts.gaps = s.had.Delete(s.gaps, key)\n\t\t\t\t}\n"},
}
