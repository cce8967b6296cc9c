/// Where the files of a lab of virtual machines are.
public struct VirtualPlace: Sendable {
    /// What the lab keeps between two commands.
    public let directory: LabDirectory
    /// What all labs share: kernel, root and the key that opens the machines. `Tools/lab.d/image` makes it.
    public let image: String

    public init(directory: LabDirectory, image: String) {
        self.directory = directory
        self.image = image
    }

    var root: String { image + "/root.ext4" }
    var kernel: String { image + "/vmlinuz" }
    var firstRoot: String { image + "/initrd.img" }
    var key: String { image + "/key" }
    /// The product and this program, as a disk that every machine reads.
    var product: String { directory.path + "/product.ext4" }
    /// How machines are run here, found out once a boot of this host.
    var accelerator: String { image + "/accelerator" }

    func console(_ name: String) -> String { directory.machine(name) + "/console.log" }
    func disk(_ name: String) -> String { directory.machine(name) + "/disk.raw" }
    /// What the machine's disk says of itself: how many sectors a power cut took.
    func diskLog(_ name: String) -> String { directory.machine(name) + "/disk.log" }
    func hypervisorLog(_ name: String) -> String { directory.machine(name) + "/qemu.log" }
    func mark(_ name: String) -> String { directory.machine(name) + "/qemu.process" }

    /// What a machine has written to one of its ports: 1 is its daemon's log, 2 to 4 are for writers. It is outside the
    /// machine when the machine's write() returns, so it is whole after a power cut.
    public func port(_ number: Int, of name: String) -> String {
        number == 1 ? directory.daemonLog(name) : directory.machine(name) + "/port\(number)"
    }
}
