/// State, event, state afterwards and deeds, of every state and event: a change of the machine shows here.
let reviewedTable = """
    initialize | started | backup | -
    initialize | stopped | initialize | -
    initialize | wake | initialize | -
    initialize | eligible | initialize | -
    initialize | heard 50 | initialize | -
    initialize | heard 200 | initialize | -
    initialize | heard 0 | initialize | -
    initialize | peer active | initialize | -
    initialize | peer resigned | initialize | -
    initialize | granted | initialize | -
    initialize | promoted | initialize | -
    initialize | refused | initialize | -
    initialize | demoted | initialize | -
    initialize | healed | initialize | -
    initialize | vanished | initialize | -
    backup | started | backup | -
    backup | stopped | initialize | -
    backup | wake | backup | -
    backup | eligible | backup | -
    backup | heard 50 | backup | -
    backup | heard 200 | backup | -
    backup | heard 0 | backup | -
    backup | peer active | backup | -
    backup | peer resigned | backup | -
    backup | granted | active | sendAdvertisement
    backup | promoted | backup | -
    backup | refused | backup | -
    backup | demoted | backup | -
    backup | healed | backup | -
    backup | vanished | backup | -
    candidate | started | candidate | -
    candidate | stopped | initialize | -
    candidate | wake | candidate | -
    candidate | eligible | candidate | -
    candidate | heard 50 | candidate | -
    candidate | heard 200 | candidate | -
    candidate | heard 0 | candidate | -
    candidate | peer active | candidate | -
    candidate | peer resigned | candidate | -
    candidate | granted | active | sendAdvertisement
    candidate | promoted | candidate | -
    candidate | refused | backup | -
    candidate | demoted | backup | -
    candidate | healed | candidate | -
    candidate | vanished | candidate | -
    active | started | active | -
    active | stopped | initialize | sendAdvertisement
    active | wake | active | -
    active | eligible | active | -
    active | heard 50 | active | confirmGrant, sendAdvertisement, announce
    active | heard 200 | active | confirmGrant, sendAdvertisement, announce
    active | heard 0 | active | sendAdvertisement
    active | peer active | active | -
    active | peer resigned | active | sendAdvertisement
    active | granted | active | -
    active | promoted | active | announce
    active | refused | backup | sendAdvertisement
    active | demoted | backup | sendAdvertisement
    active | healed | active | announce
    active | vanished | active | raiseAddress, announce
    """
