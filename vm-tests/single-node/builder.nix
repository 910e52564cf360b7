{
  services.cache-server-client.caches.main = {
    url = "http://main.cache.example.org";
    publicKey = "main.cache.example.org-1:Esmvb/xe68TWgdXXlctczTUa1FVz39yAsa+J5uwShdY=";
    tokenFile = "/var/lib/secrets/cache-token";
    push = true;
  };
}
