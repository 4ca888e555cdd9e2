"""people.py SAM.LDB SMB.CONF ADDRESS SERVER-NAME... - the people of the example domain.

Written into the database of a domain controller that does not run yet, in one
go: samba-tool takes a second for each of them. Accounts are named otherwise
than the addresses that belong to them.

    a.smith   alice@example.com
    dora      dora@example.com, principal name dora.jones@corp.example.com
    erin      erin@example.com, principal name erin.fox@corp.example.com
    busy      busy@example.com, in 700 groups
    gone      gone@example.com, disabled
    plain     no address
    off       off@example.com, not enabled for us
    inside    inside@example.com, may not come from outside
    sip-service   has the key of sip/SERVER-NAME
    sallyport     asks the directory
"""
import sys

from samba.auth import system_session
from samba.param import LoadParm
from samba.samdb import SamDB

DN = "DC=corp,DC=example,DC=com"
POOLS = "CN=Pools,CN=RTC Service,CN=Microsoft,CN=System," + DN
GROUPS = 700

lp = LoadParm()
lp.load(sys.argv[2])
sam = SamDB(url=sys.argv[1], session_info=system_session(), lp=lp)


def user(name, password, address=None, remote=True, principal=None, enabled=True):
    sam.newuser(name, password)
    dn = "CN=%s,CN=Users,%s" % (name, DN)
    ldif = "dn: %s\nchangetype: modify\nreplace: accountExpires\naccountExpires: 0\n" % dn
    if principal:
        ldif += "-\nreplace: userPrincipalName\nuserPrincipalName: %s\n" % principal
    if address:
        for what, value in (("PrimaryUserAddress", "sip:" + address), ("UserEnabled", "TRUE" if enabled else "FALSE"),
                            ("FederationEnabled", "TRUE"), ("InternetAccessEnabled", "TRUE" if remote else "FALSE"),
                            ("PrimaryHomeServer", "CN=pool," + POOLS)):
            ldif += "-\nreplace: msRTCSIP-%s\nmsRTCSIP-%s: %s\n" % (what, what, value)
    sam.modify_ldif(ldif)
    return dn


above = DN
sam.transaction_start()
for name in ("System", "Microsoft", "RTC Service", "Pools"):
    above = "CN=%s,%s" % (name, above)
    if name != "System":
        sam.add_ldif("dn: %s\nobjectClass: container\n" % above)
sam.add_ldif("dn: CN=pool,%s\nobjectClass: serviceConnectionPoint\nserviceDNSName: pool.int.example.com\n" % POOLS)
sam.transaction_commit()

user("a.smith", "Alice-1pass", "alice@example.com")
user("dora", "Dora-1pass", "dora@example.com", principal="dora.jones@corp.example.com")
user("erin", "Erin-1pass", "erin@example.com", principal="erin.fox@corp.example.com")
busy = user("busy", "Busy-1pass", "busy@example.com")
user("gone", "Gone-1pass", "gone@example.com")
user("off", "Off-1pass", "off@example.com", enabled=False)
user("plain", "Plain-1pass")
user("inside", "Inside-1pass", "inside@example.com", remote=False)
sam.disable_account("(sAMAccountName=gone)")

sam.transaction_start()
for i in range(GROUPS):
    sam.add_ldif("dn: CN=group%d,CN=Users,%s\nobjectClass: group\nsAMAccountName: group%d\nmember: %s\n" % (i, DN, i, busy))
sam.transaction_commit()

# AES keys alone, as in a domain of today
service = user("sip-service", "Service-1pass")
sam.modify_ldif("dn: %s\nchangetype: modify\nreplace: msDS-SupportedEncryptionTypes\nmsDS-SupportedEncryptionTypes: 24\n-\n"
                "replace: servicePrincipalName\n%s" % (service, "".join("servicePrincipalName: sip/%s\n" % n for n in sys.argv[4:])))
asker = user("sallyport", "Ask-Me-1pass")
sam.modify_ldif("dn: %s\nchangetype: modify\nreplace: msDS-SupportedEncryptionTypes\nmsDS-SupportedEncryptionTypes: 24\n" % asker)
# who asks for the controller by its address
sam.modify_ldif("dn: CN=DC1,OU=Domain Controllers,%s\nchangetype: modify\nadd: servicePrincipalName\n"
                "servicePrincipalName: ldap/%s\n" % (DN, sys.argv[3]))
