import Replication

// What the control thread says.
extension VolumeLoop {
    mutating func takeOrders() {
        for order in inbox.takeAll() {
            switch order {
            case .event(let event): deliver(event)
            case .link(let socket): takeSocket(socket)
            case .dropLink: loseLink(.lost, "the connection was given up")
            case .device(let device): takeDevice(device)
            case .endDevice: endSession()
            case .dropDevice: dropSession()
            case .stop:
                isStopping = true
                nextSocket = nil
                link.close(politely: false)
            }
        }
    }
}
