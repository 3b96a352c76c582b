package limit

import "net/netip"

// Address returns the key that the limits of one client's address count by: the address, of IPv6 its first
// 64 bits. What is no address is its own key.
func Address(addr string) string {
	ip, err := netip.ParseAddr(addr)
	if err != nil {
		return addr
	}
	if ip = ip.Unmap(); ip.Is4() {
		return ip.String()
	}
	net, _ := ip.WithZone("").Prefix(64) // 64 bits are always there
	return net.String()
}
